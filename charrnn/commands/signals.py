"""Ctrl-C, SIGTERM and a lost terminal: a command ends without a trace, and training saves first.

The first signal raises :class:`Stopped` in the main thread, which unwinds the command: temporary files are removed,
displays are closed.  A second signal ends the process at once.  That is safe at any moment, because a file gets its
name only when it is complete.
"""

import contextlib
import errno
import os
import queue
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")  # Windows lacks the last two; a batch system sends SIGUSR1
SIGHUP = 1  # Windows has no such signal
PATIENCE = 1.0  # seconds that a reader of the output has after a signal
_SHOW_CURSOR = b"\x1b[?25h"

received: int | None = None
"""The signal that has ended the command."""


_wake: queue.SimpleQueue[int] = queue.SimpleQueue()  # gets the signal that ends the command


class Stopped(KeyboardInterrupt):
    """A signal asks the command to end."""


def listen() -> None:
    """Have a signal raise :class:`Stopped` from now on. If the command has not ended then in time, the process does."""
    for number in _handled():
        signal.signal(number, _stop)
    sys.unraisablehook = _swallowed
    threading.Thread(target=_wait_and_leave, daemon=True).start()


def ignore() -> None:
    """Ignore signals from now on: the command is over and its output is written, so the exit status is settled.

    Otherwise Python restores the system's handling before it exits, and a late signal would kill the process.
    """
    for number in _handled():
        signal.signal(number, signal.SIG_IGN)


def leave(number: int) -> None:
    """End the process at once with the exit status of signal ``number``, after showing the terminal's cursor.

    Output that a stalled reader has not taken yet is dropped, and a terminal that has stopped keeps its cursor as it
    is: waiting could take forever.
    """
    with contextlib.suppress(OSError):  # the terminal is gone, and its cursor too
        if os.name != "nt" and "rich.live" in sys.modules and os.isatty(2) and select.select([], [2], [], 0)[1]:
            os.write(2, _SHOW_CURSOR)
    os._exit(128 + number)


class StalledError(OSError):
    """A signal has come, and a write still waits for the reader of the output."""


class Gently:
    """A block in which the first signal calls ``stop``, and ``say`` in a thread. The next one is handled as before.

    ``say`` may take locks and print. The handler itself may not, because it may interrupt the code that holds a lock.

    Attributes:
        stopped: the number of the first signal, or None.
    """

    def __init__(self, stop: Callable[[], None], say: Callable[[], None]):
        self._stop, self._say = stop, say
        self.stopped: int | None = None
        self._is_over = False
        self._wake: queue.SimpleQueue[bool] = queue.SimpleQueue()  # a put may interrupt another put; a lock would block
        self._writes = 0  # odd during a write, even between two
        self._stalled = 0  # the write that is given up

    def __enter__(self) -> "Gently":
        self._teller = threading.Thread(target=self._after_signal, daemon=True)
        self._teller.start()
        self._before = {number: signal.signal(number, self._handle) for number in _handled()}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._is_over = True
        self._wake.put(False)
        self._teller.join(PATIENCE)  # its own write may have stalled

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Around a write: after a signal it is given up when it has waited for its reader for ``PATIENCE`` seconds.

        Raises:
            StalledError: the write was given up.
        """
        self._writes += 1
        try:
            yield
        finally:
            self._writes += 1

    def _handle(self, number, frame) -> None:
        if self._stalled:
            stalled, self._stalled = self._stalled, 0
            if stalled == self._writes:
                raise StalledError(errno.EAGAIN, "the reader of the output has stalled")
        elif self.stopped is not None:
            _stop(number, frame)
        else:
            self.stopped = number
            self._stop()
            self._wake.put(True)

    def _after_signal(self) -> None:
        if not self._wake.get():
            return
        if hasattr(signal, "pthread_kill"):  # Windows cannot interrupt a write
            threading.Thread(target=self._give_up_stalled_writes, daemon=True).start()
        # If stderr is closed, the next record that is shown ends the run anyway.
        with contextlib.suppress(OSError):
            self._say()

    def _give_up_stalled_writes(self) -> None:
        last, since = self._writes, time.monotonic()
        while not self._is_over:
            time.sleep(PATIENCE / 10)
            if self._writes != last:
                last, since = self._writes, time.monotonic()
            elif last % 2 and time.monotonic() - since > PATIENCE:
                self._stalled = last
                signal.pthread_kill(threading.main_thread().ident, self.stopped)
                since = time.monotonic()


def _handled() -> list[int]:
    """The signals to handle. A signal that the process was started to ignore (nohup, a shell's ``&``) stays ignored."""
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


def _stop(number, frame):
    global received
    if received is not None:
        leave(number)
    received = number
    end_in_time(number)
    raise Stopped


def end_in_time(number: int) -> None:
    """Have the process end in any case ``PATIENCE`` seconds from now: a reader of its output may have stalled."""
    _wake.put(number)


def _wait_and_leave() -> None:
    number = _wake.get()
    time.sleep(PATIENCE)
    leave(number)


def _swallowed(unraisable) -> None:
    """Python drops an exception raised in a finaliser or a C callback. If that was :class:`Stopped`, leave now."""
    if isinstance(unraisable.exc_value, Stopped):
        leave(received)
    sys.__unraisablehook__(unraisable)
