"""The options of ``train`` by what they settle, and how an option is written."""

import dataclasses

import click

from charrnn.config import TrainConfig

# What the model is.
MODEL = ("hidden", "layers", "embedding", "cell")
# How the text is read.
TEXT = ("as_bytes", "encoding", "min_count", "max_vocab")
# How long the run is; at most one of them is given.
ENDS = ("epochs", "steps", "time_budget")
# What a resumed run may change.
RUN = ("patience", "effort", *ENDS, "eval_every", "save_every", "sample_every", "snapshots", "ngrams")
# How the model learns: all other settings of a run. No option has the length of its samples.
LEARNING = tuple(each.name for each in dataclasses.fields(TrainConfig) if each.name not in (*RUN, "sample_length"))


def flag(name: str) -> str:
    """How an option is written."""
    return "--" + name.removeprefix("as_").replace("_", "-")


def given(ctx: click.Context, names: tuple[str, ...]) -> list[str]:
    """The names among ``names`` of options that the user gave, on the command line or in a file."""
    sources = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    return [name for name in names if ctx.get_parameter_source(name) in sources]
