"""charrnn: train, sample and look inside a character-level language model.

    import charrnn
    from pathlib import Path

    model = charrnn.train(Path("fables"), time_budget="1m")
    print(model.sample("The fox ", length=200, temperature=0.8))

:class:`charrnn.model.Model` says what a model can do.
"""

from charrnn.version import __version__

# Not typing.TYPE_CHECKING: importing typing is slow, and a Ctrl-C in that time ends in a traceback. Type checkers know
# the name.
TYPE_CHECKING = False

__all__ = [
    "CharRNNError",
    "Choice",
    "Evaluation",
    "Identification",
    "Identifier",
    "Model",
    "Reading",
    "Record",
    "Vocabulary",
    "__version__",
    "identify",
    "load",
    "train",
]

if TYPE_CHECKING:
    from charrnn.errors import CharRNNError
    from charrnn.inference.loss import Evaluation
    from charrnn.inference.sampler import Choice
    from charrnn.model import Model, load
    from charrnn.model.from_text import train
    from charrnn.model.identifier import Identification, Identifier, identify
    from charrnn.model.reading import Reading
    from charrnn.records import Record
    from charrnn.text.vocabulary import Vocabulary
else:
    _HOMES = {
        "CharRNNError": "charrnn.errors",
        "Choice": "charrnn.inference.sampler",
        "Evaluation": "charrnn.inference.loss",
        "Identification": "charrnn.model.identifier",
        "Identifier": "charrnn.model.identifier",
        "Model": "charrnn.model",
        "Reading": "charrnn.model.reading",
        "Record": "charrnn.records",
        "Vocabulary": "charrnn.text.vocabulary",
        "identify": "charrnn.model.identifier",
        "load": "charrnn.model",
        "train": "charrnn.model.from_text",
    }

    def __getattr__(name):
        # Import on first use: the command line must answer --help without importing Numba.
        if name not in _HOMES:
            raise AttributeError(f"module 'charrnn' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
