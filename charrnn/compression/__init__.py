"""Lossless compression with what a network expects: a file format, its blocks, and networks that learn as they read.

It imports ``version``, ``errors``, ``config``, ``records``, ``text``, ``kernels``, ``network``, ``checkpoints``,
``inference`` and ``training``.  Begin with ``compressor.py``, then ``blocks.py`` and ``container.py``; the coder itself
is in ``charrnn/inference/row_coder.py`` and ``charrnn/kernels/range_coder.py``.
"""
