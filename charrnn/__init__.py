"""charrnn: train, sample and look inside a character-level LSTM.

    import charrnn

    model = charrnn.load("checkpoints/fables")
    print(model.sample("The fox ", length=200, temperature=0.8))

:class:`charrnn.model.Model` says what a model can do.
"""

from charrnn.version import __version__

# Not typing.TYPE_CHECKING: importing typing is slow, and a Ctrl-C in that time ends in a traceback. Type checkers know
# the name.
TYPE_CHECKING = False

__all__ = ["CharRNNError", "Model", "__version__", "load"]

if TYPE_CHECKING:
    from charrnn.errors import CharRNNError
    from charrnn.model import Model, load

_HOMES = {"CharRNNError": "charrnn.errors", "Model": "charrnn.model", "load": "charrnn.model"}


def __getattr__(name: str) -> object:
    # Import on first use: the command line must answer --help without importing Numba.
    if name not in _HOMES:
        raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
