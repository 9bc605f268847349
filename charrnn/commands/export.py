"""``charrnn export``: a model to give away."""

from pathlib import Path

import click

from charrnn.commands.help import Command, option
from charrnn.commands.options import checkpoint_argument, quiet_option


@click.command(cls=Command)
@checkpoint_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@option("--force", is_flag=True, help="Replace FILE if it is there.")
@quiet_option
def export(checkpoint: Path, file: Path, force: bool, quiet: bool) -> None:
    """Write the best weights of CHECKPOINT to FILE, name.safetensors, with everything that sample, inspect and evaluate
    need. Data that only a resume needs is left out, and so are your folders: only the names of the text's files stay.

    \b
    charrnn export checkpoints/fables fables.safetensors
    charrnn sample fables.safetensors
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.display.terminal.console import Terminal
    from charrnn.errors import ConfigError

    if file.suffix != ".safetensors":
        raise click.UsageError(f"{str(file)!r} does not end in .safetensors.")
    if file.exists() and not force:
        raise ConfigError(f"{file} is there already: give --force to replace it")
    terminal = Terminal(quiet)
    shared = load_checkpoint(checkpoint, warn=terminal.warn).shared()
    shared.save(file)
    terminal.note(f"wrote {file} ({file.stat().st_size / 1e6:,.1f} MB)")
