"""A text cut into what a model learns from and what it is judged by."""

from dataclasses import dataclass

import numpy as np

from charrnn.text.corpus import split


@dataclass
class Parts:
    """The texts of a run, as ids: train (N,), validation and test, either may be empty."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray, fractions: str) -> "Parts":
        """Cut ids by fractions like "90/10/0"; a text that leaves nothing to train on is not cut.

        Raises:
            ConfigError: the fractions are not usable.
        """
        train, validation, test = (ids[part] for part in split(len(ids), fractions))
        return cls(train, validation, test) if len(train) > 1 else cls(ids, ids[:0], ids[:0])
