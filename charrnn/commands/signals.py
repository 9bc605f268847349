"""Ctrl-C, SIGTERM and a lost terminal: a command ends without a trace, and training saves first.

The first signal raises :class:`Stopped` in the main thread, which unwinds the command: temporary files are removed,
displays are closed.  A second signal ends the process at once.  That is safe at any moment, because a file gets its
name only when it is complete.
"""

import contextlib
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
_SHOW_CURSOR = b"\x1b[?25h"

received: int | None = None
"""The signal that has ended the command."""


class Stopped(KeyboardInterrupt):
    """A signal asks the command to end."""


def listen() -> None:
    """Have a signal raise :class:`Stopped` from now on."""
    for number in _handled():
        signal.signal(number, _stop)
    sys.unraisablehook = _swallowed


def ignore() -> None:
    """Ignore signals from now on: the command is over and its output is written, so the exit status is settled.

    Otherwise Python restores the system's handling before it exits, and a late signal would kill the process.
    """
    for number in _handled():
        signal.signal(number, signal.SIG_IGN)


def leave(number: int) -> None:
    """End the process at once with the exit status of signal ``number``, after showing the terminal's cursor.

    Output that a stalled reader of stdout has not taken yet is dropped: waiting for the reader could take forever.
    """
    with contextlib.suppress(OSError):  # the terminal is gone, and its cursor too
        if os.name != "nt" and "rich.live" in sys.modules and os.isatty(2):
            os.write(2, _SHOW_CURSOR)
    os._exit(128 + number)


@contextlib.contextmanager
def gently(stop: Callable[[], None], say: Callable[[], None]) -> Iterator[list[int]]:
    """Have the first signal only call ``stop``, and ``say`` in a thread. The next one is handled as before.

    ``say`` may take locks and print. The handler itself may not, because it may interrupt the code that holds a lock.

    Yields:
        A list that gets the number of the first signal.
    """
    stopped: list[int] = []
    wake: queue.SimpleQueue[bool] = queue.SimpleQueue()  # a put may interrupt another put; a lock would block

    def handle(number, frame):
        if stopped:
            _stop(number, frame)
        stopped.append(number)
        stop()
        wake.put(True)

    def tell() -> None:
        # If stderr is closed, the next record that is shown ends the run anyway.
        with contextlib.suppress(OSError):
            if wake.get():
                say()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    before = {number: signal.signal(number, handle) for number in _handled()}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        wake.put(False)
        teller.join()


def _handled() -> list[int]:
    """The signals to handle: all but those that the process was started to ignore, as by nohup or a shell's ``&``."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def _stop(number, frame):
    global received
    if received is not None:
        leave(number)
    received = number
    raise Stopped


def _swallowed(unraisable) -> None:
    """Python drops an exception raised in a finaliser or a C callback. If that was :class:`Stopped`, leave now."""
    if isinstance(unraisable.exc_value, Stopped):
        leave(received)
    sys.__unraisablehook__(unraisable)
