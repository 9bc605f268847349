"""``charrnn import``: the model of another program."""

from pathlib import Path

import click

from charrnn.commands import offers
from charrnn.commands.help import option, section
from charrnn.commands.options import quiet_option
from charrnn.commands.types import OutputFile
from charrnn.commands.work import Work, command

_FILE = click.Path(path_type=Path)
_SYMBOLS = ("vocabulary", "vocabulary_of", "as_bytes")


@command(
    Work,
    click.argument("file", type=_FILE, metavar="FILE"),
    click.argument("out", type=OutputFile(".safetensors"), metavar="OUT"),
    section(
        "What the ids stand for",
        option(
            "--vocabulary", type=_FILE, metavar="JSON",
            help="A file with a list of characters, or an object of characters and ids.",
        ),
        option(
            "--vocabulary-of", metavar="TEXT", shell_complete=offers.texts,
            help="The distinct characters of this text, sorted.",
        ),
        option("--bytes", "as_bytes", is_flag=True, help="The ids are the 256 bytes."),
        option("--encoding", default="utf-8", rare=True, help="Encoding of the text of --vocabulary-of."),
    ),
    section(
        "Tensors of PyTorch",
        option("--lstm", metavar="NAME", help="The LSTM, GRU or RNN, if there are several; . for no name."),
        option("--embedding", metavar="NAME", help="The weight of the embedding; none for one-hot input."),
        option("--head", metavar="NAME", help="The weight of the linear layer to characters."),
        option(
            "--ignore", "ignored", multiple=True, rare=True, metavar="NAME",
            help="Leave out a tensor that does not change what the model computes. May be repeated.",
        ),
    ),
    section("General", option("--force", is_flag=True, help="Replace OUT if it is there."), quiet_option),
)  # fmt: skip
def import_(work: Work) -> None:
    """Make a checkpoint, OUT, of the model of another program in FILE, so that sample, inspect, evaluate and
    train --init-from can open it. FILE is the state dict of an LSTM, GRU or RNN of PyTorch (.pt, .pth or
    .safetensors), what export wrote for PyTorch of any cell, or a checkpoint of char-rnn or torch-rnn (.t7). Nothing in
    it is executed.

    \b
    charrnn import lm_lstm_epoch50.00_1.2345.t7 old.safetensors
    charrnn import model.pt mine.safetensors --vocabulary-of corpus.txt
    charrnn sample mine.safetensors

    \f

    Characters and ids are taken from FILE if it has them. An object in JSON may go from characters to ids, or from ids
    to characters; ids begin at 0.
    """
    from charrnn.checkpoints.foreign.importing import import_model
    from charrnn.checkpoints.foreign.state_dict import Names
    from charrnn.errors import ConfigError

    options = work.options
    given = [name for name in _SYMBOLS if options[name]]
    if len(given) > 1:
        raise click.UsageError("--vocabulary, --vocabulary-of and --bytes exclude each other.")
    out = options["out"]
    if out.exists() and not options["force"]:
        raise ConfigError(f"{out} is there already: give --force to replace it")
    names = Names(options["lstm"] or "", options["embedding"] or "", options["head"] or "", options["ignored"])
    found, about = import_model(options["file"], _symbols(work), names)
    found.save(out)
    model, kind = found.model, "bytes" if found.vocabulary.is_bytes else "characters"
    work.terminal.note(about)
    work.terminal.note(f"wrote {out}: {model.layers} x {model.hidden}, {model.vocabulary:,} {kind}")


def _symbols(work: Work):
    """The vocabulary, or its file; None if neither was given."""
    from charrnn.commands.texts import open_text
    from charrnn.text.vocabulary import Vocabulary

    if work.options["as_bytes"]:
        return Vocabulary(range(256))
    text = work.options["vocabulary_of"]
    if text is None:
        return work.options["vocabulary"]
    how = {"encoding": work.options["encoding"], "max_vocab": 1_200_000}
    return open_text(work.terminal, (text,), **how).vocabulary
