"""What a checkpoint says of itself, in JSON: written by us, or by anybody, and checked before anything counts on it."""

import json
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args

from charrnn.checkpoints.counters import Counters
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CheckpointError, brief
from charrnn.system import strict_json
from charrnn.text.corpus import split
from charrnn.text.vocabulary import Vocabulary
from charrnn.version import __version__

FORMAT = 1

_LONGEST_STRING = 32_768  # characters: the longest path of any system
_COUNTER_TYPES = {each.name: each.type for each in fields(Counters) if each.name != "history"}
_EVALUATION = {"step": int, "epoch": float, "loss": float | None, "val_loss": float, "elapsed_s": float}
_CORPUS = {
    **{"sources": list, "paths": list, "sha256": str, "characters": int},
    **{"as_bytes": bool, "encoding": str, "min_count": int, "max_vocab": int},
}


@dataclass(frozen=True)
class Description:
    """The parts of a :class:`charrnn.checkpoints.checkpoint.Checkpoint` that are no tensors, under the same names."""

    model: ModelConfig
    vocabulary: Vocabulary
    training: TrainConfig | None = None
    counters: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    corpus: dict[str, Any] = field(default_factory=dict)
    program: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The description as ASCII.

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
        return json.dumps(about, ensure_ascii=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The description that ``to_json`` wrote.

        Raises:
            CharRNNError: it is malformed, of another format, or contradicts itself.
        """
        try:
            about = strict_json.parse(text)
        except ValueError as error:
            raise CheckpointError(f"damaged (its description cannot be read: {error})") from None
        if not isinstance(about, dict) or type(about.get("format")) is not int:
            raise CheckpointError("damaged (its description has no format)")
        if about["format"] != FORMAT:
            raise CheckpointError(f"format {about['format']}, but this version of charrnn reads format {FORMAT}")
        missing = {"config", "vocabulary", "training", "progress", "history", "corpus"} - about.keys()
        if missing:
            raise CheckpointError(f"malformed: its description has no {', '.join(sorted(missing))}")
        model = ModelConfig.from_dict(_values(about["config"], "config"))
        vocabulary = Vocabulary.from_list(about["vocabulary"])
        if len(vocabulary) != model.vocabulary:
            raise CheckpointError(f"{len(vocabulary)} characters for a model of {model.vocabulary}")
        training = about["training"]
        if training is not None:
            training = TrainConfig.from_dict(_values(training, "training"))
            split(100, training.split)
        return cls(
            *(model, vocabulary, training),
            counters=_counters(about["progress"]),
            history=_history(about["history"]),
            corpus=_corpus(about["corpus"], vocabulary),
            program=_program(about.get("program", {})),
        )


def _values(what: Any, name: str) -> dict[str, Any]:
    """An object whose values are plain: null, true, false, numbers, and strings of a bearable length."""
    if not isinstance(what, dict):
        raise CheckpointError(f"malformed: {name} must be an object, not {brief(what)}")
    for key, value in what.items():
        if value is not None and not isinstance(value, int | float | str):
            raise CheckpointError(f"malformed: {name} has {brief(key)} = {brief(value)}")
        if max(len(key), len(value) if isinstance(value, str) else 0) > _LONGEST_STRING:
            raise CheckpointError(f"malformed: {name} has {brief(key)} = {brief(value)}, which is too long")
    return what


def _numbers(what: Any, name: str, kinds: dict[str, Any]) -> dict[str, Any]:
    """An object that has these keys at least, and numbers of these kinds: whole ones count, so they are 0 or more."""
    for key, value in _values(what, name).items():
        wanted = get_args(kinds.get(key, float | None)) or (kinds[key],)
        fits = type(value) in wanted or (type(value) is int and float in wanted)
        if not fits or (float not in wanted and value is not None and value < 0):
            raise CheckpointError(f"malformed: {name} has {brief(key)} = {brief(value)}, which is not such a number")
    missing = kinds.keys() - what.keys()
    if missing:
        raise CheckpointError(f"malformed: {name} has no {', '.join(sorted(missing))}")
    return what


def _program(what: Any) -> dict[str, str]:
    """The versions of the program that wrote the checkpoint; the first ones did not say them."""
    if not all(isinstance(value, str) for value in _values(what, "program").values()):
        raise CheckpointError("malformed: program has a version that is not a string")
    return what


def _counters(what: Any) -> dict[str, Any]:
    """A run's counters, all of them or none."""
    if what == {}:
        return what
    what = _values(what, "progress")
    # The first checkpoints held no older weights to go back to: those of their own step are the good ones.
    own = {"kept_step": "step", "kept_updates": "updates"}
    first = {name: what[of] for name, of in own.items() if of in what} | {"unscored": 0}
    what = _numbers(first | what, "progress", _COUNTER_TYPES)
    if not 0 < what["rate_scale"] <= 1:
        raise CheckpointError(f"malformed: progress has 'rate_scale' = {what['rate_scale']}, not above 0 and up to 1")
    return what


def _history(what: Any) -> list[dict[str, Any]]:
    if not isinstance(what, list):
        raise CheckpointError(f"malformed: history must be a list, not {brief(what)}")
    return [_numbers(entry, "history", _EVALUATION) for entry in what]


def _corpus(what: Any, vocabulary: Vocabulary) -> dict[str, Any]:
    """What is said of the text must have the types that those who read it count on."""
    if what == {}:
        return what
    if not isinstance(what, dict):
        raise CheckpointError(f"malformed: corpus must be an object, not {brief(what)}")
    for name, kind in _CORPUS.items():
        if type(what.get(name)) is not kind or (kind is int and what[name] < 0):
            raise CheckpointError(f"what it says of its text is malformed ({name})")
    lists = {"sources": what["sources"], "paths": what["paths"]}
    for name, strings in lists.items():
        if not strings or not all(isinstance(each, str) and 0 < len(each) <= _LONGEST_STRING for each in strings):
            raise CheckpointError(f"what it says of its text is malformed ({name})")
    if type(what.get("bytes", 0)) is not int or what.get("bytes", 0) < 0:  # the first checkpoints did not say it
        raise CheckpointError("what it says of its text is malformed (bytes)")
    others = _values({key: value for key, value in what.items() if key not in lists}, "corpus")
    if not isinstance(others.get("init_from"), str | None):
        raise CheckpointError("what it says of its text is malformed (init_from)")
    if others["as_bytes"] != vocabulary.is_bytes:
        raise CheckpointError("what it says of its text is malformed (as_bytes): its vocabulary is of the other kind")
    return what
