"""Kernels take at most eight positional arguments; arrays and numbers that belong together are NamedTuples."""

import importlib
import inspect
import pkgutil

import pytest

import charrnn.kernels

MOST = 8
MODULES = [f"charrnn.kernels.{module.name}" for module in pkgutil.iter_modules(charrnn.kernels.__path__)]


def functions():
    """Every compiled function of the room: the kernels, and the functions that kernels call."""
    for name in MODULES:
        module = importlib.import_module(name)
        for function in vars(module).values():
            if hasattr(function, "py_func") and function.py_func.__module__ == name:
                yield function


@pytest.mark.parametrize("function", list(functions()), ids=lambda each: each.py_func.__qualname__)
def test_few_arguments(function):
    assert len(inspect.signature(function.py_func).parameters) <= MOST
    if hasattr(function, "declared"):
        assert len(function.declared.args) == len(inspect.signature(function.py_func).parameters)
