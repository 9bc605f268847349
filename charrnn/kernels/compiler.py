"""Compile kernels once a machine, and keep their machine code.

``@kernel(signature)`` declares a function with one explicit signature; ``prepare`` compiles the kernels that are
needed, or loads them from the cache.  The project has its own cache because Numba's raises on a damaged file and does
not notice edits in other modules.  A kernel is one file that begins with its SHA-256.  Its folder, in the user's cache,
is named after everything that the machine code depends on: sources, versions, processor.  A damaged file is compiled
again; without a folder that can be written, every process compiles for itself.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
from numba import njit, types
from numba.core import serialize
from numba.core.caching import CompileResultCacheImpl
from numba.core.runtime import rtsys

from charrnn.kernels.compiling import compile_together
from charrnn.system.files import read_regular
from charrnn.system.folders import cache_folder
from charrnn.system.threads import available_threads
from charrnn.version import __version__, hash_sources

Array1 = types.Array(types.float32, 1, "C")
Array2 = types.Array(types.float32, 2, "C")
Array3 = types.Array(types.float32, 3, "C")
Panels = types.Array(types.float32, 3, "A")
"""(panels, rows, columns), perhaps a part of more rows: only the stride from panel to panel is free."""
Doubles1 = types.Array(types.float64, 1, "C")
Doubles2 = types.Array(types.float64, 2, "C")
Ids1 = types.Array(types.int32, 1, "C")
Ids2 = types.Array(types.int32, 2, "C")
Ids3 = types.Array(types.int32, 3, "C")
Longs1 = types.Array(types.int64, 1, "C")
Longs2 = types.Array(types.int64, 2, "C")
float32, float64, intp, uint32, uint64, void = (
    types.float32,
    types.float64,
    types.intp,
    types.uint32,
    types.uint64,
    types.void,
)


@contextlib.contextmanager
def _say_nothing(count):
    yield lambda: None


announce = _say_nothing
"""Called with the number of kernels that must be compiled; its context is open during compilation.

The context yields a function that is called after each kernel, also from other threads.  The command line puts its
progress here."""


_symbols: dict = {}  # kernels that other kernels call by a symbol
_lock = threading.RLock()


class KernelCache:
    """The stored machine code of one kernel, with the interface that Numba's dispatcher expects of a cache."""

    cache_path = ""

    def __init__(self, function, declared):
        self._declared, self.is_wanted = declared, False  # compile_here wants it
        self._name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        source = Path(function.__code__.co_filename)
        if source.parent != Path(__file__).parent:  # the folder's name does not cover it
            self._name += f".{hash_sources(source)}"

    def _file(self, context):
        return cache_folder() / "kernels" / _build_name(context.codegen().magic_tuple()) / self._name

    def payload(self, context):
        """The kernel's stored bytes, or None if there are none or they are damaged."""
        try:
            content = read_regular(self._file(context), _LARGEST)
        except OSError:
            return None
        checksum, payload = content[:32], content[32:]
        return payload if hashlib.sha256(payload).digest() == checksum else None

    def load_overload(self, sig, target_context):
        """The compiled kernel, or None.

        Raises:
            RuntimeError: the kernel was called before :func:`prepare`; Numba would compile it for that call's types.
        """
        if sig != self._declared or not self.is_wanted:
            raise RuntimeError(f"the kernel {self._name} was not prepared")
        payload = self.payload(target_context)
        if payload is None:
            return None
        for symbol, called in list(_symbols.items()):
            if called._cache is not self and symbol.encode() in payload:
                compile_here(called)
        # Kernels need Numba's allocator. Numba's own cache calls `target_context.refresh` here; that imports seventy
        # modules which only a compilation needs.
        rtsys.initialize(target_context)
        return CompileResultCacheImpl.rebuild(None, target_context, pickle.loads(payload))

    def save_overload(self, sig, compiled):
        """Store the compiled kernel; a folder that cannot be written is not an error."""
        payload = serialize.dumps(CompileResultCacheImpl.reduce(None, compiled))
        path = self._file(compiled.target_context)
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).digest() + payload)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def enable(self):
        """Nothing to do: it is always on."""

    def disable(self):
        """Nothing to do."""

    def flush(self):
        """Nothing is buffered."""


@functools.cache
def _build_name(machine):
    """A folder name that changes with anything the machine code depends on."""
    digest = hashlib.sha256(hash_sources(Path(__file__).parent).encode())
    for fact in (numba.__version__, llvmlite.__version__, platform.python_version(), *map(str, machine)):
        digest.update(fact.encode())
    return f"{__version__}-{digest.hexdigest()[:16]}"


def kernel(signature, symbol=None):
    """Declare a function as a kernel: no GIL, IEEE division, one signature, compiled by :func:`prepare`.

    Other kernels can call a kernel with a ``symbol`` as an external function of that name.
    """

    def declare(function):
        dispatcher = njit(nogil=True, error_model="numpy")(function)
        dispatcher._cache = KernelCache(function, signature)
        dispatcher.declared, dispatcher.symbol = signature, symbol
        if symbol:
            _symbols[symbol] = dispatcher
        return dispatcher

    return declare


def prepare(*kernels):
    """Load these kernels from the cache, or compile them, announcing that once.

    What is not in the cache is compiled in as many processes as there are processors, up to ``MOST_PROCESSES``.  Name
    the kernels first that take longest to compile.
    """
    # A kernel that is an attribute of a layer's class comes from each layer as another bound method of the same kernel.
    distinct = dict.fromkeys(getattr(dispatcher, "__func__", dispatcher) for dispatcher in kernels)
    new = [dispatcher for dispatcher in distinct if not dispatcher.signatures]
    missing = [dispatcher for dispatcher in new if dispatcher._cache.payload(dispatcher.targetctx) is None]
    if missing:
        with announce(len(missing)) as compiled:
            helpers = min(available_threads(), MOST_PROCESSES, len(missing)) - 1
            compile_together(missing, helpers if _can_be_written(cache_folder()) else 0, compile_here, compiled)
    for dispatcher in new:
        compile_here(dispatcher)  # loads it from the cache, to which a helper may just have added it


def compile_here(dispatcher):
    """Compile a kernel in this process, or load it from the cache; a kernel that is ready is left alone."""
    with deferred_signals(), _lock:
        if dispatcher._cache.is_wanted:
            return
        dispatcher._cache.is_wanted = True
        try:
            dispatcher.compile(dispatcher.declared)
            if dispatcher.symbol:
                llvm.add_symbol(dispatcher.symbol, address_of(dispatcher))
        except BaseException:
            dispatcher._cache.is_wanted = False  # a second attempt must register the symbol, too
            raise
        dispatcher.disable_compile()


def address_of(dispatcher) -> int:
    """The address of a prepared kernel's machine code; it is valid as long as the kernel lives."""
    compiled = dispatcher.overloads[dispatcher.declared.args]
    return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def _can_be_written(folder):
    """Whether files can be made in a folder, or in the nearest one above it that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


MOST_PROCESSES = 4
_LARGEST = 2**26  # bytes of a stored kernel
_DEFERRED = ("SIGINT", "SIGTERM", "SIGHUP")


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Handle Ctrl-C, SIGTERM and SIGHUP only after the work inside.

    An exception raised by a signal handler inside an LLVM callback is swallowed; LLVM then continues with incomplete
    data and crashes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread only
        return
    came: list[int] = []
    before = {}
    try:
        for number in (getattr(signal, name) for name in _DEFERRED if hasattr(signal, name)):
            if callable(signal.getsignal(number)):
                before[number] = signal.signal(number, lambda number, frame: came.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
