"""One step of a network with every number: forward, back, and each gradient beside its finite difference.

The room imports errors, config and records. It computes in float64 with NumPy, from the equations, apart from the
kernels. Begin with ``equations.py``, then ``explain.py``; ``attribution.py`` says which characters made a prediction.
"""
