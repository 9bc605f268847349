"""charrnn: train, sample and look inside a character-level LSTM.

    import charrnn

    model = charrnn.load("checkpoints/fables")
    print(model.sample("The fox ", length=200, temperature=0.8))

See :class:`charrnn.model.Model` for what a model can do.
"""

from charrnn.version import __version__

# Not typing's, whose import takes longer than all that a Ctrl-C should find here; type checkers know the name.
TYPE_CHECKING = False

__all__ = ["CharRNNError", "Model", "__version__", "load"]

if TYPE_CHECKING:
    from charrnn.errors import CharRNNError
    from charrnn.model import Model, load

_HOMES = {"CharRNNError": "charrnn.errors", "Model": "charrnn.model", "load": "charrnn.model"}


def __getattr__(name: str) -> object:
    # Loaded when asked for: the command line must answer --help without waiting for Numba.
    if name not in _HOMES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
