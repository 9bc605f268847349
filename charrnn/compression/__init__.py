"""Lossless compression with the probabilities of a network: a file format, its blocks, networks that learn on the way.

It imports ``version``, ``errors``, ``config``, ``records``, ``text``, ``kernels``, ``network``, ``checkpoints``,
``inference`` and ``training``.  Begin with ``compressor.py``, then ``blocks.py`` and ``container.py``; the coder itself
is in ``charrnn/inference/row_coder.py`` and ``charrnn/kernels/range_coder.py``.
"""
