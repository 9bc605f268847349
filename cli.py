"""Run charrnn from a clone without installing it: ``python cli.py train TEXT``."""

from charrnn.__main__ import main

if __name__ == "__main__":
    main()
