"""``charrnn inspect``: what the cells do while the model reads a text."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands.inspect import ablate, files, find, follow, history, read, sampling_options, similar
from charrnn.commands.inspect.views import chosen, view_options
from charrnn.commands.options import (
    Sectioned,
    checkpoint_argument,
    json_option,
    load_model,
    quiet_option,
    section,
    threads_option,
    unknown_option,
)

VIEWS = (history, follow, ablate, similar, find, files, read)  # the last is shown where no option asks for another


@click.command(cls=Sectioned)
@checkpoint_argument
@click.argument("text", required=False, metavar="[TEXT]")
@section("The text")
@click.option("--text", "literal", metavar="TEXT", help="The text itself, instead of a file.")
@click.option("--encoding", help="Encoding of the text.  [default: that of the training text]")
@unknown_option
@view_options((read, find, ablate, similar, follow, history, files))
@section("General")
@threads_option
@quiet_option
@json_option
def inspect(checkpoint: Path, **options: Any) -> None:
    """Show what the cells of the model in CHECKPOINT do while it reads TEXT, a file or - for standard input.
    Without TEXT it is the validation part of the one that the model was trained on, where that is still to be found.

    A model of bytes is shown byte by byte, each as the Latin-1 character of its number.

    Without --cell: the cells whose activity is most structured. With it: the text, each character coloured by that
    cell after reading it.

    \b
    charrnn inspect checkpoints/fables corpora/fables.txt
    charrnn inspect checkpoints/fables corpora/fables.txt --cell 1:37
    charrnn inspect checkpoints/fables --text '"Come in," said the fox.' --predictions
    """
    from charrnn.commands.texts import inspected_ids
    from charrnn.display.terminal.console import Terminal

    terminal = Terminal(options["quiet"], options["as_json"])
    view = chosen(VIEWS, options, (sampling_options, sampling_options.Seeds))
    if options["text"] is not None and options["literal"] is not None:
        raise click.UsageError("Give one text: a file, - for standard input, or --text TEXT.")
    if options["cell"] and options["surprise"] and not options["as_json"]:
        raise click.UsageError("--cell and --surprise both colour the text: give one.")
    model = load_model(checkpoint, options["threads"], terminal)
    ids = inspected_ids(model, options, terminal) if getattr(view, "READS", True) else None
    view.show(terminal, model, ids, options | {"checkpoint": checkpoint})
