"""What ``evaluate`` scores, and what it is compared with: a text, the run's own text, and its parts.

What ``inspect`` reads: a text that is named or given, or the part of the run's own that was held out.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.errors import CharRNNError, ConfigError, CorpusError
from charrnn.text.provenance import may_match

_CONTEXT = 5000  # characters before a part that are context: n-grams and the memory of `analyse errors` look there


@dataclass(frozen=True, eq=False)
class Part:
    """A stretch of a text: its ``name``, ``ids`` (N,), and the ids (B,) that stand before it, B from 0."""

    name: str
    ids: np.ndarray
    before: np.ndarray


class Texts:
    """The texts of a command: TEXT, or without one the run's own; and what --fit names, or the run's training part."""

    def __init__(self, model, options: dict[str, Any], terminal):
        self._model, self._options, self._terminal = model, options, terminal
        self._facts = model.checkpoint.corpus
        self.corpus = self._open(options["text"]) if options["text"] else self._own_corpus
        self.is_own = self._is_own(self.corpus)
        if self.is_own:
            self._own_corpus = self.corpus

    def scored(self, held_out: bool) -> Part:
        """The part to score: --part; by default all, or if ``held_out`` the validation part of the run's own text.

        Raises:
            CharRNNError: there is no such part, or too little of it.
        """
        name, ids = self._options["part"], self.corpus.ids
        if name is None:
            name = "validation" if held_out and self.is_own and len(self._parts["validation"].ids) else "all"
        if name != "all":
            if not self.is_own:
                raise ConfigError(
                    f"{self._named}: not the text that the model was trained on, so it has no part {name}: "
                    "leave --part out"
                )
            part = self._parts[name]
            if not len(part.ids):
                raise ConfigError(
                    f"the run left nothing for the {name} part (split {self._model.checkpoint.training.split}): "
                    "choose another --part"
                )
            return part
        if len(ids) < 2:
            raise CorpusError(f"{self._named}: fewer than 2 characters: there is nothing to predict")
        return Part(name, ids, ids[:0])

    @cached_property
    def training(self) -> np.ndarray:
        """Ids (N,) of what baselines are fitted on and copies are looked for in: --fit, or the run's training part.

        Raises:
            CharRNNError: neither is there.
        """
        return self._open(self._options["fit"]).ids if self._options["fit"] else self._parts["train"].ids

    @cached_property
    def held_out(self) -> np.ndarray | None:
        """Ids (N,) of real text that the model has not learnt from; None if there is none, or with --fit."""
        if self._options["fit"]:
            return None
        return next((part.ids for part in map(self._parts.get, ("validation", "test")) if len(part.ids)), None)

    @property
    def _named(self) -> str:
        return ", ".join(self.corpus.sources)

    def _is_own(self, corpus) -> bool:
        facts = self._facts
        same = corpus.sha256 == facts.get("sha256") and len(corpus) == facts.get("characters")
        return same and self._model.checkpoint.training is not None

    @cached_property
    def _parts(self) -> dict[str, Part]:
        """The run's parts by name, cut as the run cut them."""
        from charrnn.text.corpus import Parts

        ids, parts, begun = self._own_corpus.ids, {}, 0
        cut = Parts.of(ids, self._model.checkpoint.training.split)
        for name in ("train", "validation", "test"):
            part = getattr(cut, name)
            parts[name] = Part(name, part, ids[max(begun - _CONTEXT, 0) : begun])
            begun += len(part)
        return parts

    @cached_property
    def _own_corpus(self):
        """The text that the run was started with, from where it was then.

        Raises:
            CorpusError: it is not there any more.
        """
        places = [self._facts.get(name, ()) for name in ("paths", "sources")]
        for sources in places:
            if not sources or not self._may_be_opened(sources):
                continue
            try:
                corpus = self._open(tuple(sources))
            except CharRNNError:
                continue  # another text is there now: the next place may have it
            if self._is_own(corpus):
                return corpus
        was = f" ({', '.join(places[0])})" if places[0] else ""
        raise CorpusError(
            f"the text that the model was trained on{was} is not there any more, or has changed: name it as TEXT, "
            "or with --fit the text to compare with"
        )

    def _may_be_opened(self, sources: list[str]) -> bool:
        """Whether to open what the checkpoint names: files and folders that can be its text, or names."""
        return "-" not in sources and (
            may_match(sources, self._facts) or not any(Path(source).exists() for source in sources)
        )

    def _open(self, sources: tuple[str, ...]):
        from charrnn.display.terminal.progress_bar import progress_bar
        from charrnn.text.corpus import open_corpus

        with progress_bar(self._terminal, "Reading the text") as progress:
            corpus = open_corpus(
                sources,
                as_bytes=self._model.vocabulary.is_bytes,
                encoding=self._options["encoding"] or self._facts.get("encoding", "utf-8"),
                vocabulary=self._model.vocabulary,
                unknown=self._options["unknown"],
                progress=progress,
            )
        for note in corpus.notes:
            self._terminal.note(note)
        return corpus


def inspected_ids(model, options: dict[str, Any], terminal):
    """Ids (N,) of the text that is named, else of the part of the run's own that was held out."""
    if options["literal"] is not None:
        text = options["literal"]
        return model.encode(
            text.encode("utf-8", "surrogateescape") if model.vocabulary.is_bytes else text, options["unknown"]
        )
    from charrnn.commands.texts import Texts

    named = options["text"] is not None
    texts = Texts(model, options | {"text": (options["text"],) if named else (), "part": None, "fit": ()}, terminal)
    if named:
        if texts.is_own:
            terminal.note("The model was trained on this text: leave TEXT out for the part that was held out.")
        return texts.corpus.ids
    part = texts.scored(held_out=True)
    terminal.note(f"reads the {part.name} part of the run's own text" if part.name != "all" else "reads all of it")
    return part.ids
