"""The live page of a checkpoint, and how far its probabilities are from the model's."""

from dataclasses import replace
from pathlib import Path

SMALL = 1_000_000  # bytes of a page that keeps 16 bits unless the user says otherwise
_LARGEST = 50_000_000  # weights
_COMPARED = 500  # characters that the model writes, on which the probabilities are compared
_PRIME = "The "


def name_of(path: Path) -> str:
    """The name of a model: its run's or its file's."""
    path = path.absolute()
    return path.parent.name if path.stem in ("best", "last") else path.stem


def live_page(checkpoint, name: str, bits: int | None) -> tuple[bytes, str]:
    """The page of a checkpoint under a ``name``, with ``bits`` a weight; None is 16, or 8 if the page would be large.

    Returns the bytes of the file, and a line about its weights.

    Raises:
        ConfigError: the page has no engine for the network, or the network is too large.
    """
    content, note = _made(checkpoint, name, bits or 16)
    return (content, note) if bits or len(content) <= SMALL else _made(checkpoint, name, 8)


def live_model(config, parameters, bits: int):
    """A network for a page, a :class:`charrnn.display.live_page.page.LiveModel`, with ``bits`` a weight.

    Raises:
        ConfigError: the page has no engine for the network, or the network is too large.
    """
    from charrnn.display.live_page.page import LiveModel
    from charrnn.display.live_page.weights import all_quantised
    from charrnn.errors import ConfigError
    from charrnn.network.cells import cell_of, parameter_count

    if (weights := parameter_count(config)) > _LARGEST:
        raise ConfigError(f"a page holds at most {_LARGEST:,} weights, and this model has {weights:,}")
    cell, heads = cell_of(config), cell_of(config).heads(config)
    return LiveModel(
        config.cell,
        config.layers,
        config.hidden,
        config.embedding or 0,
        config.vocabulary,
        all_quantised(dict(parameters.items()), bits),
        cell.signals,
        heads,
        cell.context(config) if heads else 0,
    )


def _made(checkpoint, name: str, bits: int) -> tuple[bytes, str]:
    from charrnn.display.live_page.page import LivePage
    from charrnn.network.cells import CELLS, cell_of

    config, vocabulary = checkpoint.model, checkpoint.vocabulary
    model = live_model(config, checkpoint.parameters, bits)
    count = sum(array.numbers.size for array in model.arrays.values())
    words, compared, within = f"{count:,} weights of {bits} bits", "", ""
    if bits < 32:
        difference = _difference(checkpoint, {name: array.values() for name, array in model.arrays.items()})
        within = f": probabilities within {difference:.2g} of the model's"
        compared = (
            f" On {_COMPARED} characters that the model wrote, its probabilities differ from those of the model's own "
            f"weights by at most {difference:.2g}."
        )
    symbols = f"{len(vocabulary)} {'bytes' if vocabulary.is_bytes else 'characters'}"
    page = LivePage(
        title=name,
        subtitle=f"{cell_of(config).title} {config.layers} × {config.hidden}, {symbols}",
        model=model,
        symbols=vocabulary.symbols,
        line_start=vocabulary.line_start,
        lstm_signals=CELLS["lstm"].signals,
        prime=_PRIME if all((ord(each) if vocabulary.is_bytes else each) in vocabulary for each in _PRIME) else "",
        facts=[f"The page has {words}.{compared}"],
    )
    return page.html().encode("ascii"), words + within


def _difference(checkpoint, parameters) -> float:
    """The largest difference between probabilities of the model and those with other weights."""
    import numpy as np

    from charrnn.model.model import Model

    model = Model.from_checkpoint(checkpoint, 1)
    other = Model.from_checkpoint(replace(checkpoint, parameters=parameters), 1)
    text = model.sample("", _COMPARED, 0.8)
    exact, near = (np.exp(each.read(text).log_probabilities) for each in (model, other))
    return float(np.abs(exact - near).max())
