"""Steps that a compiled loop calls by their address, so that the loop need not know which layers it goes through.

The loop that writes text reads one character after the other through every layer and the head.  For each of them it has
the address of a compiled step and a row of int64 arguments (addresses of arrays, strides, sizes), whose meaning only
that step knows.  A step is a kernel with the signature ``STEP``.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from charrnn.kernels.compiler import intp, void
from charrnn.kernels.simd import llvm_pointer


class Share(NamedTuple):
    """One thread's part of a step: streams ``first`` to ``last``, and of their units part ``worker`` of ``workers``."""

    first: int
    last: int
    worker: int
    workers: int


SHARE = types.NamedUniTuple(intp, len(Share._fields), Share)

PARAMETERS = (types.uintp, types.uintp, intp, intp, SHARE)
STEP = void(*PARAMETERS)
"""``step(arguments_at, ids_at, before, place, share)``: read one character of each stream.

``arguments_at`` is the address of the step's own arguments, ``ids_at`` the address of the characters (B,) int32 of all
streams.  In the step's arrays, row ``before`` + b has the state of stream b before the character, and row ``place`` + b
gets what follows from it.
"""


def struct_loader(kind):
    """A function for kernels that reads a tuple of the Numba type ``kind``, all int64, from an address."""

    @intrinsic
    def load_struct(typing, address):
        def codegen(context, builder, signature, args):
            pointer = builder.inttoptr(args[0], ir.PointerType())
            return builder.load(pointer, align=8, typ=context.get_value_type(kind))

        return kind(types.uintp), codegen

    return load_struct


@intrinsic
def load_id(typing, base, index):
    """The int32 number ``index`` after the address ``base``, as an intp."""

    def codegen(context, builder, signature, args):
        value = builder.load(llvm_pointer(builder, *args), align=4, typ=ir.IntType(32))
        return builder.sext(value, ir.IntType(64))

    return types.intp(types.uintp, types.intp), codegen


@intrinsic
def call_step(typing, address, arguments, ids, before, place, share):
    """Call the step at ``address``; an exception in it would be ignored, so a step raises none."""

    def codegen(context, builder, signature, args):
        address, *values = args
        kind = context.call_conv.get_function_type(types.void, PARAMETERS)
        step = builder.inttoptr(address, kind.as_pointer())
        context.call_conv.call_function(builder, step, types.void, PARAMETERS, values)
        return context.get_dummy_value()

    return types.void(types.uintp, *PARAMETERS), codegen
