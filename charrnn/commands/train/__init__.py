"""``charrnn train``: a new run, or a run that is resumed."""

from charrnn.commands.train.command import train

__all__ = ["train"]
