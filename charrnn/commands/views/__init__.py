"""What ``charrnn inspect`` can show: one file a view.

A view has ``OPTIONS``, which the command declares, and ``show(terminal, model, ids, options)``, which does the work.
"""

from collections.abc import Callable
from types import ModuleType


def view_options(*views: ModuleType) -> Callable:
    """A decorator that declares the options of ``views``, in their order."""

    def declare(command: Callable) -> Callable:
        for option in reversed([option for view in views for option in view.OPTIONS]):
            command = option(command)
        return command

    return declare
