"""The text that an inspection reads: TEXT or --text, and its part from --offset on."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.help import option, section
from charrnn.commands.options import encoding_option, unknown_option
from charrnn.commands.types import Whole

text_options = section(
    "The text",
    click.argument("text", required=False, metavar="[TEXT]"),
    option("--text", "literal", metavar="TEXT", help="The text itself, instead of a file."),
    encoding_option,
    unknown_option,
)
pager_option = option("--pager/--no-pager", default=True, rare=True, help="Page output that is longer than the screen.")


def stretch_options(length: int):
    """``--offset`` and ``--length``, which is ``length`` by default."""
    return section(
        "The part of the text",
        option("--offset", type=Whole(0), default=0, show_default=True, help="First character to read."),
        option("--length", type=Whole(1), default=length, show_default=True, help="Characters to read."),
    )


def opened(checkpoint: Path, options: dict[str, Any]):
    """The terminal, the model, and the ids (N,) that it reads.

    Raises:
        click.UsageError: two texts are given.
        CharRNNError: the model or the text cannot be used.
    """
    from charrnn.commands.loading import load_model
    from charrnn.display.terminal.console import Terminal

    check_one_text(options)
    terminal = Terminal(options["quiet"], options["as_json"])
    model = load_model(checkpoint, options["threads"], terminal)
    return terminal, model, text_ids(model, options, terminal)


def check_one_text(options: dict[str, Any]) -> None:
    """Refuse TEXT beside --text."""
    if options["text"] is not None and options["literal"] is not None:
        raise click.UsageError("Give one text: a file, - for standard input, or --text TEXT.")


def text_ids(model, options: dict[str, Any], terminal):
    """Ids (N,) of the text that is given, or else of the held-out part of the run's own text."""
    from charrnn.commands.texts import Texts

    if options["literal"] is not None:
        text = options["literal"]
        return model.encode(
            text.encode("utf-8", "surrogateescape") if model.vocabulary.is_bytes else text, options["unknown"]
        )
    named = () if options["text"] is None else (options["text"],)
    texts = Texts(model, terminal, named, encoding=options["encoding"], unknown=options["unknown"])
    if named:
        if texts.is_own:
            terminal.note("The model was trained on this text: leave TEXT out for the part that was held out.")
        return texts.corpus.ids
    part = texts.scored(held_out=True)
    terminal.note(f"reads the {part.name} part of the run's own text" if part.name != "all" else "reads all of it")
    return part.ids
