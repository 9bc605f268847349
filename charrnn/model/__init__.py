"""The Python interface: a trained network with its vocabulary; text goes in, text and NumPy arrays come out.

The room may import errors, config, records, sanitise, settings, system, text, network, checkpoints, inference, training
and compression.  Begin with ``model.py``; ``from_text.py`` trains a model, ``reading.py`` is what a model shows of its
cells, and ``identifier.py`` finds which of several models explains a text best.
"""

from charrnn.model.model import Model, load

__all__ = ["Model", "load"]
