"""Where a model's losses come from: its errors, n-grams and compressors to compare with, and what it copies.

The room imports errors, records, system, text, kernels, inference and model; it does not know the display.
Begin with ``errors.py`` and ``distance.py``, which follow Karpathy, Johnson & Li (2015); both use ``ngrams.py``.
"""
