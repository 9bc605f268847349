"""The Python interface: a trained network with its vocabulary; text goes in, text and NumPy arrays come out.

The room may import errors, records, sanitise, settings, text, network, checkpoints, inference and training.
Begin with ``model.py``; ``from_text.py`` trains a model, and ``reading.py`` is what a model shows of its cells.
"""

from charrnn.model.model import Model, load

__all__ = ["Model", "load"]
