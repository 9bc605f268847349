"""The options of ``train`` by what they settle, and how an option is written."""

import click

# What the model is.
MODEL = ("hidden", "layers", "embedding")
# How the text is read.
TEXT = ("as_bytes", "encoding", "min_count", "max_vocab")
# How the model learns.
LEARNING = (
    "seq_len",
    "batch_size",
    "init",
    "forget_bias",
    "dropout",
    "variational",
    "recurrent_dropout",
    "input_dropout",
    "label_smoothing",
    "lr",
    "optimizer",
    "beta1",
    "beta2",
    "epsilon",
    "nesterov",
    "weight_decay",
    "l1",
    "clip",
    "clip_value",
    "ema",
    "warmup",
    "schedule",
    "final_lr",
    "decay_rate",
    "decay_after",
    "decay_every",
    "plateau_patience",
    "split",
    "seed",
)
# How long the run is; at most one of them is given.
ENDS = ("epochs", "steps", "time_budget")
# What a resumed run may change.
RUN = ("patience", "effort", *ENDS, "eval_every", "save_every", "sample_every", "snapshots")


def flag(name: str) -> str:
    """How an option is written."""
    return "--" + name.removeprefix("as_").replace("_", "-")


def given(ctx: click.Context, names: tuple[str, ...]) -> list[str]:
    """The names among ``names`` of options that the user gave, on the command line or in a file."""
    sources = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    return [name for name in names if ctx.get_parameter_source(name) in sources]
