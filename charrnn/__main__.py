"""``python -m charrnn``."""

from charrnn.commands import main

if __name__ == "__main__":
    main()
