"""``charrnn export``: a model to give away."""

import click

from charrnn.commands.help import option
from charrnn.commands.options import checkpoint_argument, quiet_option
from charrnn.commands.types import OutputFile
from charrnn.commands.work import Work, command


@command(
    Work,
    checkpoint_argument,
    click.argument("file", type=OutputFile(".safetensors"), metavar="FILE"),
    option("--force", is_flag=True, help="Replace FILE if it is there."),
    quiet_option,
)
def export(work: Work) -> None:
    """Write the best weights of CHECKPOINT to FILE, name.safetensors, with everything that sample, inspect and evaluate
    need. Data that only a resume needs is left out, and so are your folders: only the names of the text's files stay.

    \b
    charrnn export checkpoints/fables fables.safetensors
    charrnn sample fables.safetensors
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.errors import ConfigError

    file = work.options["file"]
    if file.exists() and not work.options["force"]:
        raise ConfigError(f"{file} is there already: give --force to replace it")
    shared = load_checkpoint(work.options["checkpoint"], warn=work.terminal.warn).shared()
    shared.save(file)
    work.terminal.note(f"wrote {file} ({file.stat().st_size / 1e6:,.1f} MB)")
