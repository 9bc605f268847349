"""The JSON description in a checkpoint: settings, vocabulary, counters, text. Any stranger may have written it.

So every value is checked here, once, before other modules rely on it.  docs/FORMAT.md describes the keys.
"""

import json
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args

from charrnn.checkpoints.counters import Counters
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CheckpointError, brief
from charrnn.network.cells import CELLS
from charrnn.system import strict_json
from charrnn.text.corpus import split
from charrnn.text.vocabulary import Vocabulary
from charrnn.version import __version__

FORMAT = 1

_LONGEST_STRING = 32_768  # characters, as in the longest path of any system
_COUNTER_TYPES = {each.name: each.type for each in fields(Counters) if each.name != "history"}
_EVALUATION_TYPES = {"step": int, "epoch": float, "loss": float | None, "val_loss": float, "elapsed_s": float}
_OLD_ADAMW_RATE = 4e-3  # the default of the versions whose runs have no setting ``ngrams``
_NGRAM_TYPES = {"order": int, "network_weight": float, "ngram_weight": float}
HIGHEST_ORDER, HIGHEST_WEIGHT = 64, 4.0  # the weight as charrnn.inference.mixture.MOST
_CORPUS_TYPES = {
    **{"sources": list, "paths": list, "sha256": str, "characters": int, "bytes": int, "as_bytes": bool},
    **{"encoding": str, "min_count": int, "max_vocab": int, "init_from": str | None},
}


@dataclass(frozen=True)
class NgramSettings:
    """How a mixture is made of the network and n-grams: grams of up to ``order`` characters, exponents of both."""

    order: int
    network_weight: float
    ngram_weight: float


@dataclass
class Description:
    """What a checkpoint says about a model and its run, beside the tensors.

    ``counters`` are the run's counters, ``history`` its evaluations. ``corpus`` says where the text came from and how
    it was read, ``program`` which program wrote the checkpoint, as :func:`charrnn.checkpoints.fingerprint.fingerprint`.
    ``ngrams`` are the settings of the n-grams whose text the checkpoint holds, if it holds one.  ``imported`` is the
    file that another program wrote, and the program, if the weights come from one.
    """

    model: ModelConfig
    vocabulary: Vocabulary
    training: TrainConfig | None = None
    counters: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    corpus: dict[str, Any] = field(default_factory=dict)
    program: dict[str, str] = field(default_factory=dict)
    ngrams: NgramSettings | None = None
    imported: str | None = None

    def to_json(self) -> str:
        """The description as JSON in ASCII.

        Raises:
            ValueError: a number is not finite.
        """
        about = {
            "format": FORMAT,
            "version": __version__,
            "config": self.model.to_dict(),
            "vocabulary": self.vocabulary.to_list(),
            "training": self.training.to_dict() if self.training else None,
            "progress": self.counters,
            "history": self.history,
            "corpus": self.corpus,
            "program": self.program,
        }
        if self.ngrams is not None:
            about["ngrams"] = vars(self.ngrams)
        if self.imported is not None:
            about["imported"] = self.imported
        return json.dumps(about, ensure_ascii=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The description that ``to_json`` wrote.

        Raises:
            CharRNNError: the text is malformed, of another format, or contradicts itself.
        """
        about = parsed(text, FORMAT)
        missing = {"config", "vocabulary", "training", "progress", "history", "corpus"} - about.keys()
        if missing:
            raise CheckpointError(f"malformed: its description has no {', '.join(sorted(missing))}")
        model = ModelConfig.from_dict(_values(about["config"], "config"))
        if model.cell not in CELLS:
            cell, known = brief(model.cell), ", ".join(CELLS)
            raise CheckpointError(f"its cell is {cell}, and this version of charrnn knows {known}: install a newer one")
        vocabulary = Vocabulary.from_list(about["vocabulary"])
        if len(vocabulary) != model.vocabulary:
            raise CheckpointError(f"{len(vocabulary)} characters for a model of {model.vocabulary}")
        training = about["training"]
        if training is not None:
            training = _values(training, "training")
            if "ngrams" not in training and training.get("lr") is None and training.get("optimizer") == "adamw":
                training = training | {"lr": _OLD_ADAMW_RATE}
            training = TrainConfig.from_dict(training)
            split(100, training.split)
        return cls(
            model=model,
            vocabulary=vocabulary,
            training=training,
            counters=_counters(about["progress"]),
            history=_history(about["history"]),
            corpus=_corpus(about["corpus"], vocabulary),
            program=_program(about.get("program", {})),
            ngrams=_ngrams(about.get("ngrams")),
            imported=_imported(about.get("imported")),
        )


def _values(what: Any, name: str) -> dict[str, Any]:
    """Check that ``what`` is an object whose values are null, booleans, numbers or strings of limited length."""
    if not isinstance(what, dict):
        raise CheckpointError(f"malformed: {name} must be an object, not {brief(what)}")
    for key, value in what.items():
        if value is not None and not isinstance(value, int | float | str):
            raise CheckpointError(f"malformed: {name} has {brief(key)} = {brief(value)}")
        if max(len(key), len(value) if isinstance(value, str) else 0) > _LONGEST_STRING:
            raise CheckpointError(f"malformed: {name} has {brief(key)} = {brief(value)}, which is too long")
    return what


def _numbers(what: Any, name: str, kinds: dict[str, Any]) -> dict[str, Any]:
    """Check that ``what`` is an object with all keys of ``kinds``, and that their values have these types.

    Further keys may have numbers and null.  Integers are counts, so they must be 0 or more.
    """
    for key, value in _values(what, name).items():
        wanted = get_args(kinds.get(key, float | None)) or (kinds[key],)
        fits = type(value) in wanted or (type(value) is int and float in wanted)
        if not fits or (float not in wanted and value is not None and value < 0):
            raise CheckpointError(f"malformed: {name} has {brief(key)} = {brief(value)}, not an allowed number")
    missing = kinds.keys() - what.keys()
    if missing:
        raise CheckpointError(f"malformed: {name} has no {', '.join(sorted(missing))}")
    return what


def _program(what: Any) -> dict[str, str]:
    """The versions of the program that wrote the checkpoint. The first checkpoints do not have them."""
    if not all(isinstance(value, str) for value in _values(what, "program").values()):
        raise CheckpointError("malformed: program has a version that is not a string")
    return what


def _ngrams(what: Any) -> NgramSettings | None:
    """The settings of the n-grams, or None."""
    if what is None:
        return None
    found = _numbers(what, "ngrams", _NGRAM_TYPES)
    weights = found["network_weight"], found["ngram_weight"]
    if found.keys() != _NGRAM_TYPES.keys() or not 1 <= found["order"] <= HIGHEST_ORDER:
        raise CheckpointError(f"malformed: ngrams of order {brief(found['order'])}")
    if not all(0 <= weight <= HIGHEST_WEIGHT for weight in weights):
        raise CheckpointError(f"malformed: ngrams with the weights {brief(weights)}")
    return NgramSettings(**found)


def _imported(what: Any) -> str | None:
    """Where imported weights come from, or None."""
    if what is not None and not (isinstance(what, str) and 0 < len(what) <= _LONGEST_STRING):
        raise CheckpointError(f"malformed: imported is {brief(what)}")
    return what


def _counters(what: Any) -> dict[str, Any]:
    """The counters of a run: all of them or none."""
    if what == {}:
        return what
    what = _values(what, "progress")
    # The first checkpoints lack three counters. They have no older weights, so their own step is the kept one.
    substitutes = {"kept_step": "step", "kept_updates": "updates"}
    defaults = {name: what[other] for name, other in substitutes.items() if other in what} | {"unscored": 0}
    what = _numbers(defaults | what, "progress", _COUNTER_TYPES)
    if not 0 < what["rate_scale"] <= 1:
        raise CheckpointError(f"malformed: progress has 'rate_scale' = {what['rate_scale']}, not above 0 and up to 1")
    return what


def _history(what: Any) -> list[dict[str, Any]]:
    if not isinstance(what, list):
        raise CheckpointError(f"malformed: history must be a list, not {brief(what)}")
    return [_numbers(entry, "history", _EVALUATION_TYPES) for entry in what]


def _corpus(what: Any, vocabulary: Vocabulary) -> dict[str, Any]:
    """Where the text came from and how it was read, with the types that its readers rely on."""
    if what == {}:
        return what
    if not isinstance(what, dict):
        raise CheckpointError(f"malformed: corpus must be an object, not {brief(what)}")
    for name, kind in _CORPUS_TYPES.items():
        value = what.get(name, 0 if name == "bytes" else None)  # the first checkpoints lack ``bytes``
        fits = type(value) in (get_args(kind) or (kind,))
        if fits and kind is list:
            fits = value != [] and all(isinstance(each, str) and 0 < len(each) <= _LONGEST_STRING for each in value)
        if not fits or (kind is int and value < 0):
            raise CheckpointError(f"malformed: corpus has {brief(name)} = {brief(value)}")
    _values({name: value for name, value in what.items() if _CORPUS_TYPES.get(name) is not list}, "corpus")
    if what["as_bytes"] != vocabulary.is_bytes:
        raise CheckpointError(f"malformed: corpus has 'as_bytes' = {what['as_bytes']}, its vocabulary the opposite")
    return what


def parsed(text: str, version: int) -> dict[str, Any]:
    """The description in a file's header, an object in JSON.

    Raises:
        CheckpointError: it is damaged, or of another ``version`` of its format.
    """
    try:
        about = strict_json.parse(text)
    except ValueError as error:
        raise CheckpointError(f"damaged (its description cannot be read: {error})") from None
    if not isinstance(about, dict) or type(about.get("format")) is not int:
        raise CheckpointError("damaged (its description has no format)")
    if about["format"] != version:
        raise CheckpointError(f"format {about['format']}, but this version of charrnn reads format {version}")
    return about
