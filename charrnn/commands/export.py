"""``charrnn export``: a model to give away."""

import click

from charrnn.commands.help import option
from charrnn.commands.options import checkpoint_argument, ngrams_option, quiet_option
from charrnn.commands.types import OutputFile
from charrnn.commands.work import Work, command


@command(
    Work,
    checkpoint_argument,
    click.argument("file", type=OutputFile(".safetensors"), metavar="FILE"),
    option("--force", is_flag=True, help="Replace FILE if it is there."),
    ngrams_option("Keep the n-grams, which hold the training text.", "off"),
    quiet_option,
)
def export(work: Work) -> None:
    """Write the best weights of CHECKPOINT to FILE, name.safetensors, with everything that sample, inspect and evaluate
    need. Left out are data that only a resume needs, the training text, which n-grams learn, and your folders: only the
    names of the text's files stay.

    \b
    charrnn export fables fables.safetensors
    charrnn sample fables.safetensors
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.errors import ConfigError

    file = work.options["file"]
    if file.exists() and not work.options["force"]:
        raise ConfigError(f"{file} is there already: give --force to replace it")
    found = load_checkpoint(work.options["checkpoint"], warn=work.terminal.warn)
    with_ngrams = work.options["ngrams"] == "on"
    if with_ngrams and found.ngrams is None:
        raise ConfigError(f"{work.options['checkpoint']}: it has no n-grams")
    found.shared(with_ngrams).save(file)
    work.terminal.note(f"wrote {file} ({file.stat().st_size / 1e6:,.1f} MB)")
