"""``charrnn inspect``: what the cells do while the model reads a text."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.options import (
    checkpoint_argument,
    json_option,
    load_model,
    quiet_option,
    threads_option,
    unknown_option,
)
from charrnn.commands.views import reading, view_options


@click.command(short_help="Colour a text by what a cell does.")
@checkpoint_argument
@click.argument("text", required=False, metavar="[TEXT]")
@click.option("--text", "literal", metavar="TEXT", help="The text itself, instead of a file.")
@click.option("--encoding", help="Encoding of the text.  [default: that of the training text]")
@view_options(reading)
@unknown_option
@threads_option
@quiet_option
@json_option
def inspect(checkpoint: Path, **options: Any) -> None:
    """Show what the cells of the model in CHECKPOINT do while it reads TEXT, a file or - for standard input.

    A model of bytes is shown byte by byte, each as the Latin-1 character of its number.

    Without --cell: the cells whose activity is most structured. With it: the text, each character coloured by that
    cell after reading it.

    \b
    charrnn inspect checkpoints/fables corpora/fables.txt
    charrnn inspect checkpoints/fables corpora/fables.txt --cell 1:37
    charrnn inspect checkpoints/fables --text '"Come in," said the fox.' --predictions
    """
    from charrnn.terminal.console import Terminal

    terminal = Terminal(options["quiet"], options["as_json"])
    if (options["text"] is None) == (options["literal"] is None):
        raise click.UsageError("Give one text: a file, - for standard input, or --text TEXT.")
    if options["cell"] and options["surprise"] and not options["as_json"]:
        raise click.UsageError("--cell and --surprise both colour the text: give one.")
    model = load_model(checkpoint, options["threads"], terminal)
    reading.show(terminal, model, _ids(model, options, terminal), options)


def _ids(model, options: dict[str, Any], terminal):
    if options["literal"] is not None:
        text = options["literal"]
        return model.encode(
            text.encode("utf-8", "surrogateescape") if model.vocabulary.is_bytes else text, options["unknown"]
        )
    from charrnn.text.corpus import open_corpus

    corpus = open_corpus(
        [options["text"]],
        as_bytes=model.vocabulary.is_bytes,
        encoding=options["encoding"] or model.checkpoint.corpus.get("encoding", "utf-8"),
        vocabulary=model.vocabulary,
        unknown=options["unknown"],
    )
    for note in corpus.notes:
        terminal.note(note)
    return corpus.ids
