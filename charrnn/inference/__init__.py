"""What a model says of the next character: losses on a text, samples, several models as one, and n-grams beside them.

It imports ``errors``, ``config``, ``records``, ``system``, ``text``, ``kernels`` and ``network``.  Begin with
``sampler.py``, then ``loss.py`` and ``mixture.py``.
"""
