"""Options of how a model learns: the optimiser, what is done to the gradient, and the learning rate."""

from collections.abc import Callable
from typing import Any

import click

from charrnn.commands.options import Number, Whole
from charrnn.commands.train.new_run import flag
from charrnn.config import DEFAULT_DECAY_RATE, DEFAULT_LR, DEFAULT_WEIGHT_DECAY, OPTIMIZERS, SCHEDULES, TrainConfig

_DEFAULTS = TrainConfig()


def _by_name(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


_OPTIONS = (
    click.option(
        "--optimizer", type=click.Choice(OPTIMIZERS), default=_DEFAULTS.optimizer, show_default=True,
        help="How the gradient changes the weights.",
    ),
    click.option(
        "--lr", type=Number(0, 1000),
        help=f"Peak learning rate.  [default: {_by_name(DEFAULT_LR)}]",
    ),
    click.option(
        "--beta1", type=Number(0, 0.999999), default=_DEFAULTS.beta1, show_default=True,
        help="Adam: decay of the gradient's average. sgd: momentum.",
    ),
    click.option(
        "--beta2", type=Number(0, 0.999999), default=_DEFAULTS.beta2, show_default=True,
        help="Adam and rmsprop (alpha): decay of the average of the gradient's square.",
    ),
    click.option(
        "--epsilon", type=Number(1e-30, 1), default=_DEFAULTS.epsilon, show_default=True,
        help="All but sgd: added to the root of the squares that divides the step.",
    ),
    click.option("--nesterov", is_flag=True, help="sgd: Nesterov's momentum."),
    click.option(
        "--weight-decay", type=Number(0, 100),
        help=f"Pull of the weights to zero: decoupled in adamw, an L2 term elsewhere.  "
        f"[default: adamw {DEFAULT_WEIGHT_DECAY['adamw']:g}, others 0]",
    ),
    click.option(
        "--l1", type=Number(0, 100), default=_DEFAULTS.l1, show_default=True,
        help="L1 term: the same pull on small weights as on large ones.",
    ),
    click.option(
        "--clip", type=Number(0, 1e9), default=_DEFAULTS.clip, show_default=True,
        help="Bound on the gradient's norm; 0 for none.",
    ),
    click.option(
        "--clip-value", type=Number(0, 1e9), default=_DEFAULTS.clip_value, show_default=True,
        help="Bound on each element of the gradient, before that on the norm; 0 for none.",
    ),
    click.option(
        "--ema", type=Number(0, 0.999999), default=_DEFAULTS.ema, show_default=True,
        help="Decay of a moving average of the weights, such as 0.999; 0 for none.",
    ),
    click.option(
        "--warmup", type=Whole(0), default=_DEFAULTS.warmup, show_default=True,
        help="Steps in which the learning rate rises to its peak, in every schedule.",
    ),
    click.option(
        "--schedule", type=click.Choice(SCHEDULES), default=_DEFAULTS.schedule, show_default=True,
        help="How the learning rate falls: to --final-lr along a line or half a cosine; by --decay-rate in steps, or "
        "smoothly (exponential), or when the validation loss does not improve (plateau).",
    ),
    click.option(
        "--final-lr", type=Number(0, 1), default=_DEFAULTS.final_lr, show_default=True,
        help="linear, cosine: the learning rate's end, as a part of the peak.",
    ),
    click.option(
        "--decay-rate", type=Number(1e-6, 1),
        help="step, exponential, plateau: what multiplies the learning rate.  "
        f"[default: {_by_name(DEFAULT_DECAY_RATE)}]",
    ),
    click.option(
        "--decay-after", type=Number(0, 1e6), default=_DEFAULTS.decay_after, show_default=True,
        help="step, exponential: epochs before the learning rate falls.",
    ),
    click.option(
        "--decay-every", type=Number(1e-6, 1e6), default=_DEFAULTS.decay_every, show_default=True,
        help="step, exponential: epochs in which it falls by --decay-rate.",
    ),
    click.option(
        "--plateau-patience", type=Whole(1, 10**9), default=_DEFAULTS.plateau_patience, show_default=True,
        help="plateau: evaluations in a row without a better one until it falls.",
    ),
)  # fmt: skip

# The settings that only some choices heed.
_HEEDED_BY = {
    "beta1": ("optimizer", ("adamw", "adam", "sgd")),
    "beta2": ("optimizer", ("adamw", "adam", "rmsprop")),
    "epsilon": ("optimizer", ("adamw", "adam", "rmsprop", "adagrad")),
    "nesterov": ("optimizer", ("sgd",)),
    "final_lr": ("schedule", ("linear", "cosine")),
    "decay_rate": ("schedule", ("step", "exponential", "plateau")),
    "decay_after": ("schedule", ("step", "exponential")),
    "decay_every": ("schedule", ("step", "exponential")),
    "plateau_patience": ("schedule", ("plateau",)),
}


def learning_options(function: Callable) -> Callable:
    """The options, in their order, for a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def check_learning(options: dict[str, Any]) -> None:
    """Refuse a setting that the chosen optimiser or schedule would not heed.

    Raises:
        click.UsageError: there is one.
    """
    for name, (choice, those) in _HEEDED_BY.items():
        if options[name] != getattr(_DEFAULTS, name) and options[choice] not in those:
            raise click.UsageError(f"{flag(name)} goes with {flag(choice)} {', '.join(those)}; not {options[choice]}.")
