"""Kernels compiled by several processes: each once, and all of them whatever becomes of the helpers."""

import contextlib
import sys
import time
from types import SimpleNamespace

import pytest

from charrnn.kernels import compiler
from charrnn.kernels.compiling import compile_together


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

    here, told = [], []

    def compile_here(kernel):
        here.append(kernel)
        time.sleep(4)

    given = [pack, pack_bias, pack_table, pack_transposed]
    compile_together(given, 1, compile_here, lambda: told.append(1))
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
