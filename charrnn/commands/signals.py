"""Ctrl-C, SIGTERM and a lost terminal: a command ends as if it had not been begun, or, in training, saved.

The first signal raises :class:`Stopped` in the main thread, which unwinds the command: temporary files go, displays
close.  Whoever is asked twice leaves at once; that is safe at any moment, since files appear under their names whole.
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
    """From now on a signal raises :class:`Stopped`."""
    for number in _heeded():
        signal.signal(number, _stop)
    sys.unraisablehook = _swallowed


def ignore() -> None:
    """The command is over and its output written: a signal may no longer change how the process ends.

    Python itself would put back the system's handling before its own end, which is to die of the signal.
    """
    for number in _heeded():
        signal.signal(number, signal.SIG_IGN)


def leave(number: int) -> None:
    """End the process at once with the exit status of signal ``number``, the terminal's cursor shown.

    What a stalled reader of stdout has not taken yet is dropped: to wait for it would be to not end.
    """
    with contextlib.suppress(OSError):  # the terminal is gone, and with it what there was to put right
        if os.name != "nt" and "rich.live" in sys.modules and os.isatty(2):
            os.write(2, _SHOW_CURSOR)
    os._exit(128 + number)


@contextlib.contextmanager
def gently(stop: Callable[[], None], say: Callable[[], None]) -> Iterator[list[int]]:
    """Meanwhile the first signal only calls ``stop``, and ``say`` in a thread; the next is as it was before.

    ``say`` may take locks and print: the handler itself may do neither, since it interrupts those who hold them.

    Yields:
        A list that gets the number of the first signal.
    """
    stopped: list[int] = []
    wake: queue.SimpleQueue[bool] = queue.SimpleQueue()  # its put, unlike a lock, may interrupt itself

    def handle(number, frame):
        if stopped:
            _stop(number, frame)
        stopped.append(number)
        stop()
        wake.put(True)

    def tell() -> None:
        # A stream that is closed ends the run by itself when the next record is shown.
        with contextlib.suppress(OSError):
            if wake.get():
                say()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    before = {number: signal.signal(number, handle) for number in _heeded()}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        wake.put(False)
        teller.join()


def _heeded() -> list[int]:
    """The signals that this process was not told to ignore, as nohup and a shell's ``&`` do."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def _stop(number, frame):
    global received
    if received is not None:
        leave(number)
    received = number
    raise Stopped


def _swallowed(unraisable) -> None:
    """Python drops what is raised in a finaliser or a callback from C, and with it a signal that came just then."""
    if isinstance(unraisable.exc_value, Stopped):
        leave(received)
    sys.__unraisablehook__(unraisable)
