"""How much memory the machine has, and the refusal of what cannot fit."""

import os

from charrnn.errors import ConfigError


def installed() -> int | None:
    """Bytes of memory that the machine has, where the system tells."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_texts(count: int, length: int) -> None:
    """Refuse so many texts at once, of so many characters each, if they cannot be kept.

    Raises:
        ConfigError: with what they would need and what there is.
    """
    # A text is copied when a piece is appended.
    need = 2 * count * length
    require(need, f"{count:,} texts of {length:,} characters at once need", "ask for a smaller --count or --length")


def require(need: int, what: str, advice: str) -> None:
    """Refuse work that needs more bytes than the machine has; ``what`` begins the message, ``advice`` ends it.

    Raises:
        ConfigError: with both figures.
    """
    have = installed()
    if have is not None and need > have:
        raise ConfigError(f"{what} about {need / 1e9:,.1f} GB, and this machine has {have / 1e9:,.1f}: {advice}")
