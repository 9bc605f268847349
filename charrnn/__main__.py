"""``python -m charrnn``, ``charrnn`` and, from a clone, ``python cli.py``."""

import sys


def main() -> None:
    """Run a command, see :func:`charrnn.commands.main`; Ctrl-C while that is imported is no traceback either."""
    try:
        from charrnn.commands import main as run
    except KeyboardInterrupt:
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
