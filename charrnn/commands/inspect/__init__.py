"""``charrnn inspect``: one file a subcommand."""

from charrnn.commands.inspect.command import inspect

__all__ = ["inspect"]
