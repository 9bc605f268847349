"""Which of several models explains a text best: :class:`Identifier`, and :func:`identify` for a single question."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, overload

import numpy as np
import numpy.typing as npt

from charrnn.checkpoints.model_set import LARGEST_TEXT, MOST_MODELS, NONE, ModelSet, require_name
from charrnn.checkpoints.run_names import located
from charrnn.errors import ConfigError, CorpusError
from charrnn.inference.byte_ngrams import BYTES_A_BYTE, ORDER, ByteNgrams
from charrnn.inference.identification import (
    MOST_CHARACTERS,
    TEMPERATURE,
    LineModel,
    Lines,
    NetworkLines,
    NgramLines,
    posteriors,
    totals,
)
from charrnn.model.model import Model, Text, load
from charrnn.model.text_folder import read_folder
from charrnn.records import ProgressCallback, bits, no_progress
from charrnn.system import memory
from charrnn.system.threads import Team, available_threads
from charrnn.text.lines import cut

SIZE = 250_000  # bytes of a file that are learnt; docs/IDENTIFY.md has what other sizes gave
LONGEST_PART = 2000  # bytes of a line that are scored at once
_MOST_NUMBERS = 2**22  # losses that are in memory at once


@dataclass(frozen=True)
class Identification:
    """Which model explains a text best.

    Attributes:
        name: of the likeliest model; None if it is none of them, or the text is empty.
        probability: the posterior probability of this answer.
        probabilities: of all answers by the names of the models, the likeliest first; "none" is none of them.
        characters: how many characters were read.
        bits: bits per character under the likeliest model; 0 for an empty text.
    """

    name: str | None
    probability: float
    probabilities: dict[str, float]
    characters: int
    bits: float


class Identifier:
    """Several models, of which it finds the one that explains a text best.

    >>> import charrnn
    >>> texts = {"english": "The fox saw the grapes and said: they are sour. " * 9,
    ...          "german": "Der Fuchs sah die Trauben und sagte: sie sind sauer. " * 9}
    >>> languages = charrnn.Identifier.learn(texts)
    >>> found = languages.identify("die Trauben sind sauer")
    >>> found.name, found.probability > 0.9
    ('german', True)
    >>> languages.identify("xqjvkz wpqj zzkxv qjxw").name is None
    True
    >>> [each.name for each in languages.identify_all(["the grapes", "die Trauben"])]
    ['english', 'german']

    Args:
        models: by name: models of charrnn, or n-grams of bytes that have learnt a text.
        prior: weights of models before anything is read, by name; a model that is not there has 1.
        none: the probability, before anything is read, that it is none of them; None makes it that of one model.
        temperature: the losses are divided by it, see :mod:`charrnn.inference.identification`.
        threads: how many to use; None for all that this process may use. The result does not depend on it.

    Raises:
        ConfigError: there are no models, or too many, or an option is out of range.
        CheckpointError: a name cannot be used.
    """

    def __init__(
        self,
        models: Mapping[str, Model | ByteNgrams],
        *,
        prior: Mapping[str, float] | None = None,
        none: float | None = None,
        temperature: float = TEMPERATURE,
        threads: int | None = None,
    ):
        if not 1 <= len(models) <= MOST_MODELS:
            raise ConfigError(f"give from 1 to {MOST_MODELS:,} models, not {len(models):,}")
        self.names = tuple(require_name(name) for name in models)
        self._models: list[LineModel] = [_line_model(model) for model in models.values()]
        self._set: ModelSet | None = None
        self._team = Team(available_threads() if threads is None else threads)
        self.set_prior(prior, none, temperature)

    def set_prior(
        self, prior: Mapping[str, float] | None = None, none: float | None = None, temperature: float = TEMPERATURE
    ) -> None:
        """Change the probabilities before anything is read, and the temperature; the arguments are the class's.

        Raises:
            ConfigError: one is out of range, or names no model.
        """
        count, weights = len(self.names), dict.fromkeys(self.names, 1.0)
        for name, weight in (prior or {}).items():
            if name not in weights:
                raise ConfigError(f"there is no model {name!r} to give a prior: there are {', '.join(self.names[:8])}")
            if not (math.isfinite(weight) and weight >= 0):
                raise ConfigError(f"the prior of {name} must be a number from 0, not {weight}")
            weights[name] = float(weight)
        none = 1 / (count + 1) if none is None else none
        if not 0 <= none < 1:
            raise ConfigError(f"the probability of none must be from 0 and below 1, not {none}")
        if not (math.isfinite(temperature) and temperature > 0):
            raise ConfigError(f"the temperature must be above 0, not {temperature}")
        if not math.fsum(weights.values()):
            raise ConfigError("all models have a prior of 0: give one of them more")
        shares = np.array(list(weights.values())) * ((1 - none) / math.fsum(weights.values()))
        self.prior, self.temperature = np.append(shares, none), temperature

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:8])
        return f"<Identifier of {len(self.names):,} models: {shown}{', …' if len(self.names) > 8 else ''}>"

    @classmethod
    def learn(
        cls, texts: Mapping[str, Text] | str | Path, *, size: int = SIZE, order: int = ORDER, threads: int | None = None
    ) -> Self:
        """A small model for each text: n-grams of bytes.

        Args:
            texts: by name; or a folder, each of whose files gets a model with the file's name without its ending.
            size: at most so many bytes are learnt of each: of a file from all over it, of a text in memory the first.
            order: bytes of the longest gram.
            threads: see the class.

        Raises:
            CorpusError: a text is empty, or the folder cannot be used.
            ConfigError: ``size`` is out of range.
        """
        if not 1 <= size <= LARGEST_TEXT:
            raise ConfigError(f"the size must be from 1 to {LARGEST_TEXT:,} bytes, not {size:,}")
        if isinstance(texts, str | Path):
            parts = read_folder(Path(texts), size)[0]
        else:
            parts = {name: [_bytes(text)[:size]] for name, text in texts.items()}
        return cls.from_set(model_set_of(parts, order), threads=threads)

    @classmethod
    def load(cls, path: str | Path, *, threads: int | None = None) -> Self:
        """The models of a file that :meth:`save` or ``charrnn identify --learn`` wrote.

        Raises:
            CheckpointError: it cannot be read, is damaged, or holds no set of models.
        """
        return cls.from_set(ModelSet.load(located(Path(path))), threads=threads)

    @classmethod
    def from_set(cls, found: ModelSet, *, threads: int | None = None) -> Self:
        """The models of a set, which learn their texts now."""
        result = cls(learnt(found, threads), threads=threads)
        result._set = found
        return result

    def save(self, path: str | Path) -> None:
        """Write all models to one file, which holds what they have learnt of the texts.

        Raises:
            ConfigError: there is a model that is no n-grams, or is not from :meth:`learn` or :meth:`load`.
            CheckpointError: the file cannot be written.
        """
        if self._set is None:
            raise ConfigError("only models that learn or load made are saved as a set: others have files of their own")
        self._set.save(Path(path))

    def identify(self, text: Text) -> Identification:
        """The model that explains a text best.  Each line is read from the start of a line.

        Bytes are read as UTF-8 by models of characters; any bytes can be read.
        """
        return self.result(self.totals([text]).sum(axis=0), _count(_bytes(text)))

    def identify_all(self, texts: Sequence[Text], progress: ProgressCallback = no_progress) -> list[Identification]:
        """The model that explains each text best; many texts are read side by side.

        ``progress`` is called with the bytes read and all bytes.
        """
        found = self.totals(texts, progress)
        return [self.result(row, _count(_bytes(text))) for row, text in zip(found, texts, strict=True)]

    def totals(self, texts: Sequence[Text], progress: ProgressCallback = no_progress) -> npt.NDArray[np.float64]:
        """The loss of each text in nats under each model, and last under the background: (R, M + 1)."""
        pieces, owners, sizes = [], [], 0
        for number, text in enumerate(texts):
            for line in _bytes(text).split(b"\n"):
                for piece in _pieces(line):
                    pieces.append(piece)
                    owners.append(number)
                    sizes += len(piece)
        result = np.zeros((len(texts), len(self.names) + 1))
        most, first, done = min(MOST_CHARACTERS, _MOST_NUMBERS // (len(self.names) + 1)), 0, 0
        while first < len(pieces):
            last, size = first, 0
            while last < len(pieces) and (last == first or size + len(pieces[last]) <= most):
                size += len(pieces[last])
                last += 1
            found = totals(self._models, Lines.of(pieces[first:last]), self._team)
            np.add.at(result, owners[first:last], found)
            first, done = last, done + size
            progress(done, sizes)
        return result

    def result(self, losses: npt.NDArray[np.float64], characters: int) -> Identification:
        """The answer for a text with so many characters and the losses (M + 1,), as :meth:`totals` has them."""
        posterior = posteriors(losses[None], self.prior, self.temperature)[0]
        names = (*self.names, NONE)
        order = np.argsort(-posterior, kind="stable")
        probabilities = {names[k]: float(posterior[k]) for k in order}
        best = names[order[0]]
        if not characters:
            return Identification(None, probabilities[NONE], probabilities, 0, 0.0)
        found = bits(float(losses[order[0]])) / characters
        return Identification(None if best == NONE else best, probabilities[best], probabilities, characters, found)


Models = Identifier | str | Path | Mapping[str, Model | str | Path]
Texts = list[str] | list[bytes] | list[Text] | tuple[Text, ...]


@overload
def identify(texts: Text, models: Models) -> Identification: ...


@overload
def identify(texts: Texts, models: Models) -> list[Identification]: ...


def identify(texts: Text | Texts, models: Models) -> Identification | list[Identification]:
    """Which model explains a text best, or each of several texts.

    Args:
        texts: a string or bytes, or a list of them.
        models: an :class:`Identifier`; the path of a set of models; or models of charrnn, or their paths, by name.

    Raises:
        CheckpointError: a model cannot be loaded.
    """
    if not isinstance(models, Identifier):
        models = opened(models)
    return models.identify(texts) if isinstance(texts, str | bytes) else models.identify_all(texts)


def opened(models: str | Path | Mapping[str, Model | str | Path]) -> Identifier:
    """The identifier of a set of models, or of models by name."""
    if isinstance(models, str | Path):
        return Identifier.load(models)
    return Identifier({name: model if isinstance(model, Model) else load(model) for name, model in models.items()})


def learnt(
    found: ModelSet, threads: int | None = None, progress: ProgressCallback = no_progress
) -> dict[str, ByteNgrams]:
    """The n-grams of a set by name, which learn their texts now, in several threads.

    Raises:
        ConfigError: they would need more memory than there is.
    """
    texts = list(found.texts.values())
    need = BYTES_A_BYTE * sum(map(len, texts))
    memory.require(need, f"{len(texts):,} models of {sum(map(len, texts)):,} bytes need", "learn less with --size")
    made: dict[int, ByteNgrams] = {0: ByteNgrams(texts[0], found.order)}  # compiles, or loads, the kernels

    def learn(worker: int, number: int) -> None:
        made[number] = ByteNgrams(texts[number], found.order)
        progress(len(made), len(texts))

    team = Team(available_threads() if threads is None else threads)
    team.run(learn, [(number,) for number in range(1, len(texts))])
    return {name: made[number] for number, name in enumerate(found.texts)}


def model_set_of(parts: Mapping[str, Sequence[bytes]], order: int = ORDER) -> ModelSet:
    """The set of models that learn the parts of texts, by name.

    Raises:
        CorpusError: a text is empty, or there is none.
    """
    texts = {}
    for name, stretches in parts.items():
        data = b"".join(stretches)
        if not data:
            raise CorpusError(f"the text of {name} is empty: leave it out")
        texts[require_name(name)] = np.frombuffer(data, np.uint8)
    if not texts:
        raise CorpusError("there is no text to learn")
    return ModelSet(order, texts)


def _line_model(model: Model | ByteNgrams) -> LineModel:
    if isinstance(model, ByteNgrams):
        return NgramLines(model)
    if isinstance(model, Model):
        return NetworkLines(model.network, model.vocabulary)
    raise ConfigError(f"a model must be a Model or ByteNgrams, not {type(model).__name__}")


def _bytes(text: Text) -> bytes:
    """Text in UTF-8; a lone surrogate that stands for a byte becomes this byte, another one a question mark."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _count(data: bytes) -> int:
    return len(data.decode("utf-8", "surrogateescape"))


def _pieces(line: bytes) -> list[bytes]:
    return list(cut(line.removesuffix(b"\r"), LONGEST_PART))
