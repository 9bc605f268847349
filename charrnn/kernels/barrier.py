"""A barrier for threads inside a kernel.

Between two kernels threads wait for each other in Python, which takes about 100 µs.  Writing a text needs several
barriers for every character, so its threads watch a counter in memory instead, which takes about 0.1 µs.  A thread that
waits for long yields its core, because the late thread may need it.
"""

import ctypes
import os

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from charrnn.kernels.simd import llvm_pointer

_I64 = ir.IntType(64)
SPINS = 2_000  # before the processor is yielded, about a nanosecond each

FLAGS = 32
ARRIVED, ABANDONED = 0, 16
"""Indices into the flags (FLAGS,) int64, on different cache lines: the count of arrivals, and whether the barrier is
abandoned because a thread failed."""


def _system_yield():
    if os.name == "nt":
        return ctypes.windll.kernel32.SwitchToThread
    return ctypes.CDLL(None).sched_yield


llvm.add_symbol("charrnn_yield", ctypes.cast(_system_yield(), ctypes.c_void_p).value)
yield_processor = types.ExternalFunction("charrnn_yield", types.int32())


def _element(builder, flags, index):
    return llvm_pointer(builder, flags, builder.shl(index, _I64(1)))


@intrinsic
def add_atomically(typing, flags, index):
    """Add one to the int64 number ``index`` after address ``flags``, sequentially consistent."""

    def codegen(context, builder, signature, args):
        builder.atomic_rmw("add", _element(builder, *args), _I64(1), "seq_cst")
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp), codegen


@intrinsic
def load_atomically(typing, flags, index):
    """The int64 number ``index`` after address ``flags``, sequentially consistent."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_element(builder, *args), "seq_cst", 8, typ=_I64)

    return types.int64(types.uintp, types.intp), codegen


@njit
def wait_at_barrier(flags, arrivals):
    """Arrive, and wait until all threads together have arrived ``arrivals`` times since the flags were cleared.

    ``flags`` is their address.  Once the barrier is abandoned no thread waits any more, and results are invalid.
    """
    add_atomically(flags, ARRIVED)
    spins = 0
    while load_atomically(flags, ARRIVED) < arrivals and not load_atomically(flags, ABANDONED):
        spins += 1
        if spins % SPINS == 0:
            yield_processor()
