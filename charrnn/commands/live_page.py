"""The live page of a checkpoint, and how far its probabilities are from the model's."""

from dataclasses import dataclass, replace
from pathlib import Path

SMALL = 1_000_000  # bytes of a page that keeps 16 bits unless the user says otherwise
_LARGEST = 50_000_000  # weights
_COMPARED = 500  # characters that the model writes, on which the probabilities are compared
_PRIME = "The "


@dataclass(frozen=True)
class MadePage:
    """The bytes of a file, and a line about its weights."""

    content: bytes
    note: str


def name_of(path: Path) -> str:
    """The name of a model: its run's or its file's."""
    path = path.absolute()
    return path.parent.name if path.stem in ("best", "last") else path.stem


def live_page(checkpoint, name: str, bits: int | None) -> MadePage:
    """The page of a checkpoint under a ``name``, with ``bits`` a weight; None is 16, or 8 if the page would be large.

    Raises:
        ConfigError: the page has no engine for the network, or the network is too large.
    """
    from charrnn.display.live_page.page import CELLS
    from charrnn.errors import ConfigError
    from charrnn.network.cells import parameter_count

    config = checkpoint.model
    if config.cell not in CELLS:
        raise ConfigError(f"a page has no engine for the cell {config.cell}: export it as .safetensors")
    if (weights := parameter_count(config)) > _LARGEST:
        raise ConfigError(f"a page holds at most {_LARGEST:,} weights, and this model has {weights:,}")
    if bits is not None:
        return _made(checkpoint, name, bits)
    made = _made(checkpoint, name, 16)
    return made if len(made.content) <= SMALL else _made(checkpoint, name, 8)


def _made(checkpoint, name: str, bits: int) -> MadePage:
    from charrnn.display.live_page.page import LivePage
    from charrnn.display.live_page.weights import all_quantised
    from charrnn.network.cells import CELLS, cell_of

    config, cell, vocabulary = checkpoint.model, cell_of(checkpoint.model), checkpoint.vocabulary
    arrays = all_quantised(dict(checkpoint.parameters), bits)
    difference = _difference(checkpoint, {name: array.values() for name, array in arrays.items()}) if bits < 32 else 0.0
    count = sum(array.numbers.size for array in arrays.values())
    words = f"{count:,} weights of {bits} bits"
    compared = (
        f"On {_COMPARED} characters that the model wrote, its probabilities differ from those of the model's own "
        f"weights by at most {difference:.2g}."
    )
    page = LivePage(
        title=name,
        subtitle=f"{cell.title} {config.layers} × {config.hidden}, {len(vocabulary)} "
        f"{'bytes' if vocabulary.is_bytes else 'characters'}",
        cell=config.cell,
        layers=config.layers,
        hidden=config.hidden,
        embedding=config.embedding or 0,
        symbols=vocabulary.symbols,
        line_start=vocabulary.line_start,
        arrays=arrays,
        signals=_signals(cell),
        lstm_signals=_signals(CELLS["lstm"]),
        prime=_PRIME if all((ord(each) if vocabulary.is_bytes else each) in vocabulary for each in _PRIME) else "",
        facts=[f"The page has {words}. {compared if bits < 32 else ''}".strip()],
    )
    note = f"{words}: probabilities within {difference:.2g} of the model's" if bits < 32 else f"{words}"
    return MadePage(page.html().encode("ascii"), note)


def _signals(cell):
    """What a cell shows, for the page."""
    from charrnn.display.live_page.page import Signal

    return [Signal(each.name, each.meaning, each.low == 0, each.unbounded) for each in cell.signals]


def _difference(checkpoint, parameters) -> float:
    """The largest difference between probabilities of the model and those with other weights."""
    import numpy as np

    from charrnn.model.model import Model

    model = Model.from_checkpoint(checkpoint, 1)
    other = Model.from_checkpoint(replace(checkpoint, parameters=parameters), 1)
    text = model.sample("", _COMPARED, 0.8)
    exact, near = (np.exp(each.read(text).log_probabilities) for each in (model, other))
    return float(np.abs(exact - near).max())
