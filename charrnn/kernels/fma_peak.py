"""The processor's peak for fused multiply-adds: a loop over registers that reads no memory."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from charrnn.kernels.compiler import Array1, float32, intp, kernel, void
from charrnn.kernels.simd import WIDTH, llvm_call, llvm_splat
from charrnn.kernels.tiles import has_wide_registers

# Independent sums: more than the units' latency asks for, and no more than there are registers (from AVX2 on).
CHAINS = 24 if has_wide_registers() else 6
FLOPS = 2 * CHAINS * WIDTH  # of one round


@intrinsic
def multiply_add_chains(typing, rounds, x, y):
    """``rounds`` times s = s x + y on CHAINS vectors; one element of their sum, so that nothing is optimised away."""

    def codegen(context, builder, signature, args):
        rounds, x, y = args
        vector, i64 = ir.VectorType(ir.FloatType(), WIDTH), ir.IntType(64)
        x, y = llvm_splat(builder, x), llvm_splat(builder, y)
        before = builder.block
        loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(i64)
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        after = [llvm_call(builder, f"llvm.fma.v{WIDTH}f32", vector, [s, x, y]) for s in sums]
        following = builder.add(k, i64(1))
        for phi, start, end in [(k, i64(0), following), *((s, x, a) for s, a in zip(sums, after, strict=True))]:
            phi.add_incoming(start, before)
            phi.add_incoming(end, loop)
        builder.cbranch(builder.icmp_signed("<", following, rounds), loop, done)
        builder.position_at_end(done)
        result = after[0]
        for a in after[1:]:
            result = builder.fadd(result, a)
        return builder.extract_element(result, ir.IntType(32)(0))

    return types.float32(types.intp, types.float32, types.float32), codegen


@kernel(void(intp, float32, float32, Array1))
def peak(rounds, x, y, result):
    """FLOPS · rounds operations; result (1,) is of no interest."""
    result[0] = multiply_add_chains(rounds, x, y)
