"""Options that several commands share, and options made of the fields of settings."""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import click

from charrnn.commands import offers
from charrnn.commands.help import option, section
from charrnn.commands.types import CheckpointPath, Number, Whole
from charrnn.config import DEFAULT_CELL, ModelConfig
from charrnn.network.cells import CELLS


def given(names: Collection[str]) -> list[str]:
    """The names among ``names`` of options that the user gave, on the command line or in a file."""
    source_of = click.get_current_context().get_parameter_source
    sources = (click.core.ParameterSource.COMMANDLINE, click.core.ParameterSource.DEFAULT_MAP)
    return [name for name in names if source_of(name) in sources]


checkpoint_argument = click.argument("checkpoint", type=CheckpointPath())
run_argument = click.argument("checkpoint", type=CheckpointPath(), metavar="RUN")

quiet_option = option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
json_option = option("--json", "as_json", is_flag=True, help="Write JSON to stdout, one object a line.")
threads_option = option(
    "--threads", type=Whole(1, 1024), rare=True,
    help="Threads to use. Results do not depend on it.  [default: all processors]",
)  # fmt: skip
general_options = section("General", threads_option, quiet_option, json_option)

unknown_option = option(
    "--unknown", type=click.Choice(["error", "skip", "replace"]), rare=True,
    help="What to do with characters that the model does not know.  "
    "[default: error; replace if it was trained with --min-count]",
)  # fmt: skip
encoding_option = option(
    "--encoding", rare=True, help="Encoding of the text.  [default: the training text's encoding]"
)  # fmt: skip

_TYPES = {
    "whole": lambda about: Whole(about["least"], about["most"]),
    "number": lambda about: Number(about["least"], about["most"]),
    "choice": lambda about: click.Choice(about["choices"]),
    "text": lambda about: str,
}


def settings(
    config: type, helps: dict[str, str], shown: Collection[str] = (), prefix: str = "", **attributes: Any
) -> list[Callable]:
    """Options for fields of ``config``, which know their types, ranges and defaults; all but ``shown`` are rare.

    Args:
        config: a class of :mod:`charrnn.config`.
        helps: by the name of a field, the help of its option.
        shown: the names of the options that the short help shows.
        prefix: before the names. Such an option is None if it is not given; its help tells the field's default.
        attributes: of all the options, in place of the fields'.
    """
    fields = {each.name: each for each in dataclasses.fields(config)}
    return [
        _setting(fields[name], text, prefix, {"rare": name not in shown, **attributes}) for name, text in helps.items()
    ]


def online_options(config: type, flag: str, steps: str, after: str) -> list[Callable]:
    """The options that say how a model goes on learning, if the option ``flag`` is given.

    Args:
        config: the class of the settings.
        flag: the option that has the model learn.
        steps: the meaning of ``--online-steps``.
        after: the time between two updates.
    """
    helps = {
        "lr": "the learning rate",
        "steps": steps,
        "decay": f"share of the way back to the original weights after {after}",
        "slow_factor": "recurrent matrices, and layers of a Transformer, learn at this part of the rate",
    }
    return settings(config, {name: f"{flag}: {text}." for name, text in helps.items()}, prefix="online-")


def _setting(field: dataclasses.Field, text: str, prefix: str, attributes: dict[str, Any]) -> Callable:
    about, default = field.metadata, field.default
    if about["kind"] == "flag":
        attributes = {"is_flag": True, **attributes}
    else:
        attributes = {"type": _TYPES[about["kind"]](about), **attributes}
        if prefix:
            text += f"  [default: {default:g}]"
        elif default is not None:
            attributes["default"] = default
    return option(f"--{prefix}{field.name.replace('_', '-')}", help=text, **attributes)


def online_config(kind: type, options: dict[str, Any], is_asked: bool) -> Any:
    """How a model learns on: a ``kind`` with what the ``--online-…`` options give; None if nothing asks for it."""
    given = {each.name: options[f"online_{each.name}"] for each in dataclasses.fields(kind)}
    given = {name: value for name, value in given.items() if value is not None}
    return kind(**given) if given or is_asked else None


cell_option = option(
    "--cell", type=click.Choice(tuple(CELLS), case_sensitive=False), default=DEFAULT_CELL, metavar="NAME",
    help=f"The kind of network: {', '.join(CELLS)}; docs/CELLS.md tells them apart.",
)  # fmt: skip

attention_options = settings(ModelConfig, {
    "heads": "transformer: attention heads of a layer; they divide --hidden.  [default: 4, or fewer that do]",
    "context": "transformer: characters that a head looks back on, the present one included.  [default: --seq-len]",
})  # fmt: skip

with_option = option(
    "--with", "others", type=CheckpointPath(), multiple=True, metavar="CHECKPOINT",
    help="Average with the probabilities of this model, which has the same characters. May be repeated.",
)  # fmt: skip


def ngrams_option(help_text: str, default: str):
    """``--ngrams``, alone or with a value; ``default`` says in the help when n-grams take part without it."""
    return option(
        "--ngrams", type=click.Choice(("on", "off")), is_flag=False, flag_value="on",
        help=f"{help_text}  [default: {default}]",
    )  # fmt: skip


# Commands that score the run's own text, or another.
scored_text = section(
    "The text",
    click.argument("text", nargs=-1, metavar="[TEXT]...", shell_complete=offers.texts),
    encoding_option,
    unknown_option,
)
fit_option = option(
    "--fit", metavar="TEXT", multiple=True, shell_complete=offers.texts,
    help="Text to count n-grams, words and copies in. May be repeated.  [default: the run's training part]",
)  # fmt: skip


part_option = option(
    "--part", type=click.Choice(("train", "validation", "test", "all")),
    help="Part of the run's own text to score.  [default: validation; all of a text that is not the run's]",
)  # fmt: skip


def seed_option(default: str):
    """``--seed``; ``default`` says in the help what happens without it."""
    return option(
        "--seed", type=Whole(0, 2**63 - 1), help=f"The same seed gives the same result.  [default: {default}]"
    )
