"""Options of how a model learns: the optimizer, what is done to the gradient, and the learning rate.

An option that the chosen optimizer or schedule does not use has no effect; its help begins with those that use it.
"""

import click

from charrnn.commands.help import option, section
from charrnn.commands.types import Number, Whole
from charrnn.config import DEFAULT_DECAY_RATE, DEFAULT_LR, DEFAULT_WEIGHT_DECAY, OPTIMIZERS, SCHEDULES, TrainConfig

_DEFAULTS = TrainConfig()


def _by_name(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


learning_options = section(
    "How it learns",
    option(
        "--optimizer", type=click.Choice(OPTIMIZERS), default=_DEFAULTS.optimizer, show_default=True,
        help="How the gradient changes the weights.",
    ),
    option(
        "--lr", type=Number(0, 1000),
        help=f"Peak learning rate.  [default: {_by_name(DEFAULT_LR)}]",
    ),
    option(
        "--beta1", type=Number(0, 0.999999), default=_DEFAULTS.beta1, show_default=True, rare=True,
        help="Adam: decay of the gradient's average. sgd: momentum.",
    ),
    option(
        "--beta2", type=Number(0, 0.999999), default=_DEFAULTS.beta2, show_default=True, rare=True,
        help="Adam and rmsprop (alpha): decay of the average of the gradient's square.",
    ),
    option(
        "--epsilon", type=Number(1e-30, 1), default=_DEFAULTS.epsilon, show_default=True, rare=True,
        help="All but sgd: added to the root of the squares that divides the step.",
    ),
    option("--nesterov", is_flag=True, rare=True, help="sgd: Nesterov's momentum."),
    option(
        "--weight-decay", type=Number(0, 100), rare=True,
        help=f"Pull of the weights to zero: decoupled in adamw, an L2 term elsewhere.  "
        f"[default: adamw {DEFAULT_WEIGHT_DECAY['adamw']:g}, others 0]",
    ),
    option(
        "--l1", type=Number(0, 100), default=_DEFAULTS.l1, show_default=True, rare=True,
        help="L1 term: the same pull on small weights as on large ones.",
    ),
    option(
        "--clip", type=Number(0, 1e9), default=_DEFAULTS.clip, show_default=True, rare=True,
        help="Bound on the gradient's norm; 0 for none.",
    ),
    option(
        "--clip-value", type=Number(0, 1e9), default=_DEFAULTS.clip_value, show_default=True, rare=True,
        help="Bound on each element of the gradient, applied before --clip; 0 for none.",
    ),
    option(
        "--ema", type=Number(0, 0.999999), default=_DEFAULTS.ema, show_default=True, rare=True,
        help="Decay of a moving average of the weights, such as 0.999; 0 for none.",
    ),
    option(
        "--warmup", type=Whole(0), default=_DEFAULTS.warmup, show_default=True, rare=True,
        help="Steps in which the learning rate rises to its peak, in every schedule.",
    ),
    option(
        "--schedule", type=click.Choice(SCHEDULES), default=_DEFAULTS.schedule, show_default=True, rare=True,
        help="How the learning rate falls: to --final-lr along a line or half a cosine; by --decay-rate in steps, or "
        "smoothly (exponential), or when the validation loss does not improve (plateau).",
    ),
    option(
        "--final-lr", type=Number(0, 1), default=_DEFAULTS.final_lr, show_default=True, rare=True,
        help="linear, cosine: the last learning rate, as a share of the peak.",
    ),
    option(
        "--decay-rate", type=Number(1e-6, 1), rare=True,
        help="step, exponential, plateau: the factor that multiplies the learning rate.  "
        f"[default: {_by_name(DEFAULT_DECAY_RATE)}]",
    ),
    option(
        "--decay-after", type=Number(0, 1e6), default=_DEFAULTS.decay_after, show_default=True, rare=True,
        help="step, exponential: epochs before the learning rate falls.",
    ),
    option(
        "--decay-every", type=Number(1e-6, 1e6), default=_DEFAULTS.decay_every, show_default=True, rare=True,
        help="step, exponential: epochs in which it falls by --decay-rate.",
    ),
    option(
        "--plateau-patience", type=Whole(1, 10**9), default=_DEFAULTS.plateau_patience, show_default=True, rare=True,
        help="plateau: evaluations in a row without a better one until it falls.",
    ),
)  # fmt: skip
