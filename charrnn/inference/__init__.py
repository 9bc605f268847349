"""What a model says of the next character: losses on a text, samples, and several models as one.

It imports ``errors``, ``records``, ``text``, ``kernels`` and ``network``.  Begin with
``sampler.py``, then ``loss.py``.
"""
