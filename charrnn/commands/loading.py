"""Loading the model of a command."""

import contextlib
from collections.abc import Iterable
from pathlib import Path


def announced_compilation(terminal) -> None:
    """Show a spinner while the kernels compile for the first time; off a terminal write one line."""
    from charrnn.kernels import compiler

    said = False

    def announce():
        nonlocal said
        if said and not terminal.is_live:
            return contextlib.nullcontext()
        said = True
        return terminal.spinner("Compiling the kernels, once on this machine …")

    compiler.announce = announce


def load_model(path: Path, threads: int | None, terminal, others: Iterable[Path] = ()):
    """The model at ``path``, averaged with ``others``."""
    from charrnn.model import load

    announced_compilation(terminal)
    return load(path, *others, threads=threads, warn=terminal.warn)
