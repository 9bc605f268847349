"""Turns files, folders and pipes into the ids of one long text, and cuts it into training, validation and test parts.

A text is read in blocks, twice: once to count its characters, once to encode them.  Small texts are encoded in memory,
large ones into a file (``id_cache``).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from charrnn.errors import ConfigError, ContradictionError, CorpusError, brief
from charrnn.records import ProgressCallback, no_progress
from charrnn.text import id_cache
from charrnn.text.decoding import Pass, check_encoding
from charrnn.text.id_cache import Corpus
from charrnn.text.sources import Source, find_sources
from charrnn.text.vocabulary import REPLACEMENT, Unknown, Vocabulary

STREAM_FROM = 64 << 20  # bytes; smaller texts are encoded in memory

_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


def open_corpus(
    sources: Sequence[str | Path | Source],
    *,
    as_bytes: bool = False,
    encoding: str = "utf-8",
    min_count: int = 1,
    max_vocab: int = 1000,
    vocabulary: Vocabulary | None = None,
    grow: bool = False,
    unknown: Unknown | None = None,
    stdin: BinaryIO | None = None,
    progress: ProgressCallback = no_progress,
) -> Corpus:
    """Read texts, join them and encode them.

    A source is a file; a folder; ``-`` for standard input; a name in the catalog; or a text in memory, which is
    recorded as ``-``.  A folder stands for all files below it, sorted by their paths, except hidden, unreadable and
    binary ones (with a NUL byte in the first 8 KB).  Between two texts comes a newline if the first does not end with
    one.  A byte-order mark at the start of a file is dropped (not with ``as_bytes``).  Nothing else is changed.

    Args:
        sources: at least one.
        as_bytes: model the raw bytes instead of characters.
        encoding: how to decode the files, strictly; not used with ``as_bytes``.
        min_count: characters that occur fewer times become U+FFFD.
        max_vocab: the largest number of distinct symbols that is accepted.
        vocabulary: encode with this vocabulary (to resume, to evaluate) instead of making one from the text.  It then
            decides between characters and bytes; ``min_count`` and ``max_vocab`` are not used.
        grow: append to ``vocabulary`` the symbols of the text that it lacks.  ``min_count`` then applies to these
            symbols, ``max_vocab`` to all.
        unknown: what to do with symbols that ``vocabulary`` lacks, as in ``Vocabulary.encode``.  By default they become
            U+FFFD if it is in the vocabulary, and are an error otherwise.
        stdin: the stream that ``-`` reads, by default the process's own.
        progress: called with the bytes read so far and the bytes to read, over all passes.

    Raises:
        ConfigError: the settings are unusable or contradict each other.
        CorpusError: a source is missing, unreadable, empty, not in the encoding, or has too many distinct symbols.
        VocabularyError: the text has symbols that ``vocabulary`` lacks.
    """
    sources = [sources] if isinstance(sources, str | Path) else list(sources)
    if vocabulary is not None:
        if as_bytes and not vocabulary.is_bytes:
            raise ConfigError("the model was trained on characters, not on bytes: leave out --bytes")
        as_bytes = vocabulary.is_bytes
        unknown = unknown or ("replace" if REPLACEMENT in vocabulary else "error")
    learnt = vocabulary.to_list() if grow and vocabulary is not None else []
    if grow:
        vocabulary = None  # a new vocabulary is made from the text; it begins with the learnt symbols
    if as_bytes and min_count > 1 and vocabulary is None:
        raise ContradictionError("{as_bytes} and {min_count} exclude each other: a model of bytes keeps every byte")
    codec = None if as_bytes else check_encoding(encoding)
    found, skipped = find_sources(sources, codec, stdin)
    names = tuple("-" if isinstance(source, Source) else str(source) for source in sources)
    label = found[0].name if len(found) == 1 else f"{found[0].name} and {len(found) - 1:,} more"

    def named(encoded: Corpus, *notes: str) -> Corpus:
        notes, size = (*skipped, *encoded.notes, *notes), sum(each.size for each in found)
        return replace(encoded, notes=notes, sources=names, size=size)

    # Piped texts are in memory already. They have no path to find them by in the cache.
    streamed = sum(source.size for source in found if source.path is not None) >= STREAM_FROM
    entry = None
    if streamed and all(source.path is not None for source in found):
        symbols = None if vocabulary is None else vocabulary.to_list()
        entry = id_cache.Entry(found, [codec, min_count, max_vocab, symbols, unknown, *([learnt] if grow else [])])
        cached = entry.load()
        if cached is not None:
            return named(cached)
    if not streamed:
        found = [source.loaded() for source in found]

    report = _report_to(progress, found, passes=2 if vocabulary is None else 1)
    counted = None
    if vocabulary is None:
        counted = Pass(found, codec, report, offer_bytes=not grow)
        counts = counted.counts()
        if not counts:
            raise CorpusError(f"{label}: there is no text in it")
        try:
            vocabulary = Vocabulary.from_counts(counts, min_count, max_vocab, learnt)
        except CorpusError as error:
            raise CorpusError(f"{label}: {error}") from None
        # Only rare symbols are missing from it. If the text changes between the passes, its hash tells.
        unknown = "replace"

    def write_ids(file: BinaryIO) -> Pass:
        encoded = Pass(found, codec, report, offer_bytes=counted is not None and not grow)
        for ids in encoded.ids(vocabulary, unknown, "unknown" if counted is None else "rare"):
            file.write(ids.data)
        if counted is not None and encoded.sha256.digest() != counted.sha256.digest():
            raise CorpusError(f"{label}: changed while it was read: try again")
        if not file.tell():
            raise CorpusError(f"{label}: there is no text in it")
        return encoded

    if not streamed:
        return named(id_cache.in_memory(write_ids, vocabulary))
    try:
        encoded = id_cache.on_disk(write_ids, vocabulary, [codec, unknown, [source.size for source in found]])
        if entry is not None:
            entry.save(encoded)
        return named(encoded)
    except OSError as error:  # an error of the cache; errors of the sources are CorpusErrors
        reason = error.strerror or error
    note = f"the cache folder {id_cache.folder()} cannot be used ({reason}), so the text is kept in memory"
    return named(id_cache.in_memory(write_ids, vocabulary), note)


def _report_to(progress: ProgressCallback, sources: list[Source], passes: int) -> Callable[[int], None]:
    """A function to be called with the bytes of each block; it calls ``progress`` with the sum and the total."""
    total = passes * sum(source.size for source in sources)
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done = min(done + count, total)  # a pass may be repeated, and a file may grow
        progress(done, total)

    return report


def split(length: int, fractions: str | Sequence[float | str]) -> tuple[slice, slice, slice]:
    """Cut a text into training, validation and test parts, in this order and without a gap.

    Args:
        length: of the text, in symbols.
        fractions: percentages for training, validation and, optionally, test: "90/10/0", "90/10", or a tuple.

    Returns:
        Three slices; borders are rounded down.

    Raises:
        ConfigError: ``fractions`` are not two or three percentages that sum to 100, the first above 0.
    """
    parts = fractions.split("/") if isinstance(fractions, str) else fractions
    parts = [str(part).strip() for part in parts]
    shown = brief("/".join(parts))
    if len(parts) not in (2, 3) or not all(_PERCENT.fullmatch(part) for part in parts):
        raise ConfigError(f"the split {shown} must be percentages like 90/10/0: training/validation/test")
    percentages = [Fraction(part) for part in parts]
    if sum(percentages) != 100:
        raise ConfigError(f"the split {shown} must sum to 100, not {float(sum(percentages)):g}")
    if not percentages[0]:
        raise ConfigError(f"the split {shown} leaves nothing to train on: the first part must be above 0")
    # With floats, floor(length * 0.9) can miss by one.
    first = int(length * percentages[0] / 100)
    second = int(length * (percentages[0] + percentages[1]) / 100)
    return slice(0, first), slice(first, second), slice(second, length)


@dataclass
class Parts:
    """The parts of a text, as ids: ``train`` (N,), ``validation`` and ``test``; the last two may be empty."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray, fractions: str) -> "Parts":
        """Cut ids by fractions like "90/10/0". If fewer than 2 symbols were left to train on, all are for training.

        Raises:
            ConfigError: the fractions are not usable.
        """
        train, validation, test = (ids[part] for part in split(len(ids), fractions))
        return cls(train, validation, test) if len(train) > 1 else cls(ids, ids[:0], ids[:0])
