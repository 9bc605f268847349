"""The texts of a command: a text that is named, or the run's own text and its parts."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from charrnn.errors import CharRNNError, ConfigError, CorpusError
from charrnn.text.provenance import may_match

_CONTEXT = 5000  # characters before a part: context for n-grams and for the memory of `inspect errors`


@dataclass(frozen=True, eq=False)
class Part:
    """A stretch of a text: its ``name``, its ``ids`` (N,), and the ids ``before`` it (B,), B from 0."""

    name: str
    ids: np.ndarray
    before: np.ndarray


class Texts:
    """The texts of a command.

    Args:
        model: from a checkpoint, which says where the run's own text was.
        terminal: shows progress and notes.
        text: files to read, or () for the run's own text.
        fit: files to learn baselines from, or () for the run's training part; None for a command without --fit.
        encoding: of the files; None is the encoding of the run's text.
        unknown: what to do with characters that the model does not know: error, skip, replace, or None.
    """

    def __init__(self, model, terminal, text=(), fit=None, encoding: str | None = None, unknown: str | None = None):
        self._model, self._terminal, self._fit, self._unknown = model, terminal, tuple(fit or ()), unknown
        self._or_fit = "" if fit is None else ", or with --fit the text to compare with"
        self._facts = model.checkpoint.corpus
        self._encoding = encoding or self._facts.get("encoding", "utf-8")
        self.corpus = self._open(tuple(text)) if text else self._own_corpus
        self.is_own = self._is_own(self.corpus)
        if self.is_own:
            self._own_corpus = self.corpus

    def scored(self, name: str | None = None) -> Part:
        """The part called ``name``; None is the validation part of the run's own text, and all of another text.

        Raises:
            CharRNNError: there is no such part, or too little of it.
        """
        ids = self.corpus.ids
        if name is None:
            name = "validation" if self.is_own and len(self._parts["validation"].ids) else "all"
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
        """Ids (N,) of the text to learn baselines from and to look for copies in: --fit, or the run's training part.

        Raises:
            CharRNNError: neither can be read.
        """
        return self._open(self._fit).ids if self._fit else self._parts["train"].ids

    @cached_property
    def held_out(self) -> np.ndarray | None:
        """Ids (N,) of the validation or test part, which the model has not seen. None without one, or with fit."""
        if self._fit:
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
        """The text that the run was started with, from the place where it was then.

        Raises:
            CorpusError: the text is not there any more.
        """
        if not self._facts:  # an imported model
            raise CorpusError(
                f"the checkpoint does not say which text the model was trained on: name a text as TEXT{self._or_fit}"
            )
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
            f"the text that the model was trained on{was} is not there any more, or has changed: name it as TEXT"
            f"{self._or_fit}"
        )

    def _may_be_opened(self, sources: list[str]) -> bool:
        """Whether to open the sources that a checkpoint names: files that can be its text by their size, or names."""
        return "-" not in sources and (
            may_match(sources, self._facts) or not any(Path(source).exists() for source in sources)
        )

    def _open(self, sources: tuple[str, ...]):
        vocabulary = self._model.vocabulary
        how = {"as_bytes": vocabulary.is_bytes, "encoding": self._encoding, "unknown": self._unknown}
        corpus = open_text(self._terminal, sources, vocabulary=vocabulary, **how)
        for note in corpus.notes:
            self._terminal.note(note)
        return corpus


def open_text(terminal, sources: tuple[str, ...], **how):
    """The corpus of ``sources``, with a progress bar; ``how`` is for :func:`charrnn.text.corpus.open_corpus`.

    Raises:
        CharRNNError: a source cannot be used.
    """
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.text.corpus import open_corpus

    with progress_bar(terminal, "Reading the text") as progress:
        return open_corpus(sources, progress=progress, **how)
