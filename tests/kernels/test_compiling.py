"""Kernels compiled by several processes: each once, and all of them whatever becomes of the helpers."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from charrnn.kernels import compiler
from charrnn.kernels.compiling import compile_together

APART = """
import numpy as np
from numba.extending import intrinsic
from charrnn.kernels.compiler import Longs1, intp, kernel, prepare, void
from charrnn.kernels.external import call_by_symbol

@kernel(void(Longs1, intp), symbol="test_add")
def adder(sums, number):
    sums[0] += number

@intrinsic
def add(typing, sums, number):
    return adder.declared, call_by_symbol(adder)

@kernel(void(Longs1))
def add_twice(sums):
    add(sums, 3)
    add(sums, 4)

sums = np.zeros(1, np.int64)
try:
    adder(sums, 1)
except RuntimeError:
    pass  # a kernel that is not prepared says so, and can be prepared afterwards
prepare(add_twice)
add_twice(sums)
print(sums[0])
"""


def kernels(count, module="nowhere"):
    return [
        SimpleNamespace(py_func=SimpleNamespace(__module__=module, __name__=f"kernel{number}"))
        for number in range(count)
    ]


def test_without_helpers_all_are_compiled_here_in_their_order():
    given, compiled, told = kernels(3), [], []
    compile_together(given, 0, compiled.append, lambda: told.append(len(compiled)))
    assert compiled == given
    assert told == [1, 2, 3]


@pytest.mark.parametrize("executable", [None, "/no/such/file", sys.executable])
def test_what_a_helper_cannot_compile_is_compiled_here(monkeypatch, executable):
    """The third helper starts, and cannot import the kernels' module."""
    monkeypatch.setattr(sys, "executable", executable)
    given, compiled, told = kernels(4), [], []

    def compile_here(kernel):
        time.sleep(0.3)
        compiled.append(kernel)

    compile_together(given, 1, compile_here, lambda: told.append(1))
    assert len(told) == len(given)
    assert sorted(map(id, compiled)) == sorted(map(id, given))


def test_a_helper_compiles_its_part():
    """Real kernels, which are in the cache of the tests: the helper has them at once."""
    from charrnn.kernels.packing import pack, pack_bias, pack_table, pack_transposed

    here, told, helped = [], [], threading.Event()

    def compile_here(kernel):
        here.append(kernel)
        assert helped.wait(120)

    def compiled():
        told.append(1)
        if threading.current_thread() is not threading.main_thread():
            helped.set()

    given = [pack, pack_bias, pack_table, pack_transposed]
    compile_together(given, 1, compile_here, compiled)
    assert len(told) == len(given)
    assert 0 < len(here) < len(given)


def test_an_error_here_ends_it():
    def compile_here(kernel):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_together(kernels(3), 1, compile_here, lambda: None)


def test_a_kernel_of_two_layers_is_compiled_once(monkeypatch, tmp_path):
    """On a machine with one processor; each layer has the kernel as a bound method of its own."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))
    monkeypatch.setattr(compiler, "available_threads", lambda: 1)
    counts = []
    monkeypatch.setattr(compiler, "announce", lambda count: counts.append(count) or contextlib.nullcontext(print))

    @compiler.kernel(compiler.void(compiler.intp))
    def step(number):
        pass

    class Layer:
        pass

    Layer.step = step
    compiler.prepare(Layer().step, Layer().step)
    assert counts == [1]
    assert len(step.signatures) == 1


def test_threads_that_need_the_same_kernel_take_turns(monkeypatch, tmp_path):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path))

    @compiler.kernel(compiler.void(compiler.intp))
    def step(number):
        pass

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(compiler.compile_here, [step] * 8))
    assert len(step.signatures) == 1


def test_a_kernel_that_is_called_by_its_symbol_is_there_first(monkeypatch, tmp_path):
    """Compiled with the kernel that calls it, and in a new process loaded with that kernel from the cache."""
    module = tmp_path / "apart.py"
    module.write_text(APART)
    environment = {**os.environ, "CHARRNN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(2):
        done = subprocess.run([sys.executable, module], env=environment, capture_output=True, text=True, check=False)
        assert done.stdout.split() == ["7"], done.stderr
    assert len(list((tmp_path / "cache").rglob("__main__.*"))) == 2
