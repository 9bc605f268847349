"""``charrnn evaluate``: how well a model predicts a text."""

from pathlib import Path

import click

from charrnn.commands.options import (
    checkpoint_argument,
    json_option,
    load_model,
    quiet_option,
    threads_option,
    unknown_option,
)
from charrnn.errors import CorpusError


@click.command(short_help="Score a text with a model.")
@checkpoint_argument
@click.argument("text", nargs=-1, required=True, metavar="TEXT...")
@click.option("--encoding", help="Encoding of the text.  [default: that of the training text]")
@unknown_option
@threads_option
@quiet_option
@json_option
def evaluate(checkpoint: Path, text, encoding, unknown, threads, quiet, as_json) -> None:
    """Score TEXT with the model in CHECKPOINT: loss in nats and bits per character, and perplexity.

    Every character but the first, which nothing precedes, is scored once, with the state carried from the beginning.

    \b
    charrnn evaluate checkpoints/fables corpora/fables.txt
    """
    from charrnn.evaluation import evaluate as score
    from charrnn.terminal.console import Terminal
    from charrnn.terminal.progress import progress_bar
    from charrnn.terminal.tables import key_values
    from charrnn.text.corpus import open_corpus

    terminal = Terminal(quiet, as_json)
    model = load_model(checkpoint, threads, terminal)
    corpus = open_corpus(
        text,
        as_bytes=model.vocabulary.is_bytes,
        encoding=encoding or model.checkpoint.corpus.get("encoding", "utf-8"),
        vocabulary=model.vocabulary,
        unknown=unknown,
    )
    for note in corpus.notes:
        terminal.note(note)
    if len(corpus) < 2:
        raise CorpusError(f"{', '.join(text)}: fewer than 2 characters: there is nothing to predict")
    with progress_bar(terminal, "Evaluating") as progress:
        result = score(model.network, corpus.ids, progress=progress)
    if as_json:
        terminal.json(
            {"loss": result.loss, "bpc": result.bpc, "perplexity": result.perplexity, "characters": result.characters}
        )
        return
    terminal.show(
        *key_values(
            [
                ("loss", f"{result.loss:.4f} nats per character"),
                ("bits per character", f"{result.bpc:.4f}"),
                ("perplexity", f"{result.perplexity:.3f}"),
                ("characters", f"{result.characters:,}"),
            ]
        )
    )
