"""The numerical core, compiled by Numba: plain arrays in, plain arrays out, no exceptions.

It imports ``system`` and ``version``, and is the only room that imports Numba.  Begin with ``lstm.py``, whose forward
and backward pass read like the equations; ``simd.py``, ``tiles.py`` and ``matmul.py`` are below it.
"""
