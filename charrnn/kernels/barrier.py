"""Meetings of the threads inside a kernel.

Between two kernels threads meet in Python, which takes a hundred microseconds.  Writing a text has several meetings
for every character, so its threads wait for one another by looking at a counter in memory instead, which takes a
tenth of one.  Who waits for longer offers the processor to others: it may be just what the late one needs.
"""

import ctypes
import os

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from charrnn.kernels.simd import llvm_pointer

_I64 = ir.IntType(64)
LOOKS = 2_000  # before the processor is offered, about a nanosecond each

BOARD = 32
ARRIVED, ABANDONED = 0, 16
"""Elements of the board (32,) int64: how often a thread has arrived, and whether one never will; cache lines apart."""


def _system_yield():
    if os.name == "nt":
        return ctypes.windll.kernel32.SwitchToThread
    return ctypes.CDLL(None).sched_yield


llvm.add_symbol("charrnn_yield", ctypes.cast(_system_yield(), ctypes.c_void_p).value)
offer_processor = types.ExternalFunction("charrnn_yield", types.int32())


def _element(builder, board, index):
    return llvm_pointer(builder, board, builder.shl(index, _I64(1)))


@intrinsic
def add_atomically(typing, board, index):
    """Add one to the int64 number ``index`` after address ``board``; writes before it are seen by who reads it."""

    def codegen(context, builder, signature, args):
        builder.atomic_rmw("add", _element(builder, *args), _I64(1), "seq_cst")
        return context.get_dummy_value()

    return types.void(types.uintp, types.intp), codegen


@intrinsic
def load_atomically(typing, board, index):
    """The int64 number ``index`` after address ``board``, as it is in memory now."""

    def codegen(context, builder, signature, args):
        return builder.load_atomic(_element(builder, *args), "seq_cst", 8, typ=_I64)

    return types.int64(types.uintp, types.intp), codegen


@njit
def wait_at_barrier(board, arrivals):
    """Arrive, and wait until there have been ``arrivals`` of all threads since the board at that address was cleared.

    When the meeting is abandoned nobody waits any more; what is computed after that is of no use.
    """
    add_atomically(board, ARRIVED)
    looks = 0
    while load_atomically(board, ARRIVED) < arrivals and not load_atomically(board, ABANDONED):
        looks += 1
        if looks % LOOKS == 0:
            offer_processor()
