"""What computes and learns: cells, layers, and the network that is a list of layers and a head.

It imports ``errors``, ``config``, ``system`` and ``kernels``; a new cell changes this room and ``kernels`` alone.
Begin with ``cell.py`` (what a cell is) and ``layers.py`` (what a layer does), then ``lstm.py`` and ``network.py``.
"""
