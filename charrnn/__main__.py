"""``python -m charrnn``, ``charrnn`` and, from a clone, ``python cli.py``."""

import _signal as signal  # the module signal takes a millisecond to import, and a Ctrl-C in it is a traceback
import os


def main() -> None:
    """Run a command, see :func:`charrnn.commands.main`. A Ctrl-C while that is imported ends the process at once."""
    # An exception that a signal raises during an import can surface as another one, or be swallowed.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
    from charrnn.commands import main as run

    run()


if __name__ == "__main__":
    main()
