"""Calls of a kernel by a symbol, as an external function, from other kernels.

Numba links the code of a function into every function that calls it, optimises it there, and makes machine code of it
once more.  A long function that many kernels call is therefore a kernel of its own, with a symbol.  A process compiles
it once.  :func:`charrnn.kernels.compiler.compile_here` tells LLVM the address of a symbol before it links a kernel that
calls it.
"""

from numba import types
from numba.core import cgutils

from charrnn.kernels.compiler import compile_here


def call_by_symbol(kernel, values=None):
    """The code generator of an intrinsic that calls ``kernel``, which must not raise an exception.

    ``values`` are the Numba types of the intrinsic's arguments if they are not the kernel's: the same numbers in the
    same order, without the tuples that hold them.
    """
    compile_here(kernel)
    values = values or kernel.declared.args

    def codegen(context, builder, signature, args):
        kind = context.call_conv.get_function_type(types.void, values)
        function = cgutils.get_or_insert_function(builder.module, kind, kernel.symbol)
        context.call_conv.call_function(builder, function, types.void, values, args)
        return context.get_dummy_value()

    return codegen
