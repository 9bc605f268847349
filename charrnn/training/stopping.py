"""Ctrl-C while a Python program trains."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stopped_by_ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block the first Ctrl-C calls ``stop``; the next one raises KeyboardInterrupt, as everywhere else.

    A program that handles Ctrl-C itself goes on to do so, and a thread other than the main one never gets it.
    """
    own = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not own:
        yield
        return

    def handle(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, own)
        stop()

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, own)
