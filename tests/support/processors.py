"""Processors that this one can stand in for, with narrower vectors."""

import os

import pytest


def narrower_processors():
    """Names and features of processors that this one can stand in for, with narrower vectors."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        yield "avx2", {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+sse4.2"}
    if features.get("fma"):
        four = "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+fma,-avx2,-avx512f"
        yield "128 bits", {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": f"{four},+prefer-128-bit"}


def grouped(processors):
    """The processors as parameters of a test: tests of one of them run in one worker, which compiles kernels once."""
    return [pytest.param(each, marks=pytest.mark.xdist_group(f"kernels {each[0]}")) for each in processors]


def cache_of(factory, name):
    """A folder for the kernels of a narrower processor, for all tests and all workers of a test run.

    ``factory`` is pytest's tmp_path_factory.
    """
    own = factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"kernels {name}"
