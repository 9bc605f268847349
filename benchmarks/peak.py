"""The machine's peak for fused multiply-adds: a loop over registers that reads no memory.

python benchmarks/peak.py
"""

import os
import time

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from charrnn.kernels.simd import LANES, llvm_call, llvm_splat
from charrnn.threads import Team

CHAINS = 12  # independent sums, more than the latency of the units asks for


@intrinsic
def chains(typing, rounds, x, y):
    """``rounds`` times CHAINS multiply-adds of vectors; the sum, so that nothing is optimised away."""

    def codegen(context, builder, signature, args):
        rounds, x, y = args
        vector, i64 = ir.VectorType(ir.FloatType(), LANES), ir.IntType(64)
        x, y = llvm_splat(builder, x), llvm_splat(builder, y)
        before = builder.block
        loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(i64)
        sums = [builder.phi(vector) for _ in range(CHAINS)]
        after = [llvm_call(builder, f"llvm.fma.v{LANES}f32", vector, [s, x, y]) for s in sums]
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


@njit("float32(intp, float32, float32)", nogil=True)
def run(rounds, x, y):
    return chains(rounds, x, y)


def measure(threads: int, rounds: int = 10_000_000) -> float:
    """GFLOP/s of ``threads`` threads, the best of five."""
    team = Team(threads)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        team.run(lambda worker: run(rounds, 0.5, 0.25), [()] * threads)
        best = min(best, time.perf_counter() - start)
    return threads * rounds * CHAINS * LANES * 2 / best / 1e9


if __name__ == "__main__":
    for count in (1, os.cpu_count()):
        print(f"{count} thread(s): {measure(count):.0f} GFLOP/s")
