"""How much memory the machine has, and errors for work that needs more."""

import os

from charrnn.errors import ConfigError


def installed() -> int | None:
    """Bytes of memory that the machine has, or None if the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_texts(count: int, length: int) -> None:
    """Refuse to generate ``count`` texts of ``length`` characters at once if they need more memory than there is.

    Raises:
        ConfigError: the message has the memory needed and the memory of the machine.
    """
    need = 2 * count * length  # a text is copied when a piece is appended
    require(need, f"{count:,} texts of {length:,} characters at once need", "ask for a smaller --count or --length")


def require(need: int, what: str, advice: str) -> None:
    """Refuse work that needs more bytes than the machine has; ``what`` begins the message, ``advice`` ends it.

    Raises:
        ConfigError: the message has both figures.
    """
    have = installed()
    if have is not None and need > have:
        raise ConfigError(f"{what} about {need / 1e9:,.1f} GB, and this machine has {have / 1e9:,.1f}: {advice}")
