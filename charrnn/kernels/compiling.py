"""Compiling many kernels in several processes, because in one process LLVM compiles one function at a time.

Each helper is a process of the same Python.  It is told one kernel after the other, compiles it into the cache, and
says so.  A helper that cannot be started, or ends early, does no harm: what it has not compiled is compiled here.
"""

import contextlib
import importlib
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable

_DONE = "done"
_WAIT_S = 0.1  # between two looks at whether the helpers have ended
# A helper must not get the Ctrl-C of the terminal: it ends when its input ends.
_APART = {"creationflags": 0x200} if os.name == "nt" else {"start_new_session": True}  # CREATE_NEW_PROCESS_GROUP


def compile_together(
    kernels: Iterable, helpers: int, compile_here: Callable[[object], None], compiled: Callable[[], None]
) -> None:
    """Compile kernels here, with ``compile_here``, and in as many helpers; those that take longest should come first.

    ``compiled`` is called after each of them, also from other threads.  If ``compile_here`` raises, the helpers end
    after the kernel that they are at.
    """
    waiting = deque(kernels)
    leaders = [threading.Thread(target=_lead, args=(waiting, compiled), daemon=True) for _ in range(helpers)]
    for leader in leaders:
        leader.start()
    try:
        while waiting or any(leader.is_alive() for leader in leaders):
            try:
                kernel = waiting.popleft()
            except IndexError:
                leaders[0].join(_WAIT_S)
                leaders = [leader for leader in leaders if leader.is_alive()] or leaders
            else:
                compile_here(kernel)
                compiled()
    except BaseException:
        waiting.clear()
        raise


def _lead(waiting: deque, compiled: Callable[[], None]) -> None:
    """Start a helper, and have it compile kernels until none is waiting."""
    if not sys.executable:  # Python is a part of another program
        return
    begin = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
    how = _APART | {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with contextlib.suppress(OSError), subprocess.Popen([sys.executable, "-c", begin], text=True, **how) as it:
        while waiting:
            try:
                kernel = waiting.popleft()
            except IndexError:
                return
            answer = ""
            with contextlib.suppress(OSError):
                it.stdin.write(f"{kernel.py_func.__module__} {kernel.py_func.__name__}\n")
                it.stdin.flush()
                answer = it.stdout.readline()
            if answer.strip() != _DONE:
                waiting.append(kernel)
                return
            compiled()


def serve() -> None:
    """Compile the kernels that standard input names, a module and a function in each line; answer each."""
    from charrnn.kernels.compiler import compile_here

    for line in sys.stdin:
        module, name = line.split()
        compile_here(getattr(importlib.import_module(module), name))
        sys.stdout.write(f"{_DONE}\n")
        sys.stdout.flush()
