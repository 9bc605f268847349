"""Keeps the names of a model's cells in a JSON file, so that they are computed once.

The file is ``cells.json`` in the folder of the run. A checkpoint file without a folder of its own, and a folder that
cannot be written, have a file in ``cells`` in the user's cache folder. A file counts only if its key fits: a hash of
everything that the names depend on. Whoever gives a run away gives this file too, so every value in it is checked.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.checkpoints.run_names import BEST, LAST, PREVIOUS
from charrnn.errors import brief
from charrnn.inspection.clamping import Cell
from charrnn.inspection.hypotheses import BY_NAME
from charrnn.inspection.naming import Tracked
from charrnn.inspection.ranks import measure
from charrnn.model import Model
from charrnn.system import strict_json
from charrnn.system.files import keep_newest, read_regular, write_durably
from charrnn.system.folders import cache_folder
from charrnn.version import __version__, hash_sources

FILE = "cells.json"
MOST_FILES = 200  # in the user's cache folder: some megabytes
_FORMAT = 1
_BYTES_A_CELL, _OTHER_BYTES = 200, 1000
_FIELDS = {"layer", "unit", *Tracked._fields}


class NamingCache:
    """The file that keeps the names of the cells of ``model``, which was loaded from the path ``checkpoint``.

    Attributes:
        places: the files that may have the names, the best first.
    """

    def __init__(self, model: Model, checkpoint: Path):
        config = model.network.config
        self._layers, self._units = config.layers, config.hidden
        self._key = _key(model)
        is_run = any((checkpoint / name).is_file() for name in (BEST, LAST, PREVIOUS))
        in_run = [checkpoint / FILE] if is_run else []
        self.places = [*in_run, cache_folder() / "cells" / f"{self._key}.json"]

    def load(self, warn: Callable[[str], None]) -> dict[Cell, Tracked] | None:
        """The names by cell (layer, unit), or None if there is no file with the key of the model.

        ``warn`` is called with one line for a file that is damaged.
        """
        for place in self.places:
            try:
                content = strict_json.parse(read_regular(place, self._most_bytes))
                if _key_of(content) == self._key:
                    return self._understood(content)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                warn(f"{place}: ignored ({getattr(error, 'strerror', None) or error})")
        return None

    def save(self, names: Mapping[Cell, Tracked], warn: Callable[[str], None]) -> None:
        """Write the names where it is possible. ``warn`` is called with one line where it is not possible anywhere."""
        cells = [
            {"layer": layer, "unit": unit, **tracked._asdict()} for (layer, unit), tracked in sorted(names.items())
        ]
        data = json.dumps({"format": _FORMAT, "key": self._key, "cells": cells}, allow_nan=False, indent=0).encode()
        for place in self.places:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                write_durably(place, data)
            except OSError as error:
                problem = f"{place}: cannot be written ({error.strerror or error})"
            else:
                if place == self.places[-1]:
                    keep_newest(place.parent.glob("*.json"), MOST_FILES, lambda status: 1)
                return
        warn(f"{problem}; the names of cells will be computed again next time")

    @property
    def _most_bytes(self) -> int:
        return _OTHER_BYTES + _BYTES_A_CELL * self._layers * self._units

    def _understood(self, content: dict[str, Any]) -> dict[Cell, Tracked]:
        """The names in the file.

        Raises:
            ValueError: it has something that :meth:`save` does not write.
        """
        cells = content.get("cells")
        if content.keys() != {"format", "key", "cells"} or not isinstance(cells, list):
            raise ValueError("it has not the fields of a file of names")
        names = dict(map(self._named, cells))
        if len(names) < len(cells):
            raise ValueError("it has a cell twice")
        return names

    def _named(self, row: Any) -> tuple[Cell, Tracked]:
        if not isinstance(row, dict) or row.keys() != _FIELDS:
            raise ValueError(f"{brief(row)} is not the name of a cell")
        for field, below in (("layer", self._layers), ("unit", self._units)):
            if type(row[field]) is not int or not 0 <= row[field] < below:
                raise ValueError(f"there is no {field} {brief(row[field])}")
        hypothesis, score, value = (row[field] for field in Tracked._fields)
        if not isinstance(hypothesis, str) or hypothesis not in BY_NAME:
            raise ValueError(f"there is no hypothesis {brief(hypothesis)}")
        is_mask = BY_NAME[hypothesis].is_mask
        if score != measure(is_mask):
            raise ValueError(f"{hypothesis} is not measured as {brief(score)}")
        if type(value) is not float or not (0 if is_mask else -1) <= value <= 1:
            raise ValueError(f"{brief(value)} is not a value of {score}")
        return (row["layer"], row["unit"]), Tracked(hypothesis, score, value)


def _key_of(content: Any) -> str | None:
    """The key in the content of a file, or None if the file has another format.

    Raises:
        ValueError: it has no key.
    """
    if not isinstance(content, dict) or not isinstance(content.get("key"), str):
        raise ValueError("it is not a file of names")
    return content["key"] if content.get("format") == _FORMAT else None


def _key(model: Model) -> str:
    """64 hexadecimal digits that change with the weights, the vocabulary, the run's own text, or the code."""
    checkpoint = model.checkpoint
    about = {
        "code": [__version__, hash_sources(Path(__file__).parent)],
        "model": dataclasses.asdict(model.network.config),
        "vocabulary": model.vocabulary.to_list(),
        "text": [checkpoint.corpus.get("sha256"), checkpoint.corpus.get("characters")],
        "split": checkpoint.training and checkpoint.training.split,
    }
    digest = hashlib.sha256(json.dumps(about).encode())
    for name, value in sorted(checkpoint.parameters.items()):
        digest.update(f"{name} {value.shape}\n".encode() + np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
