"""How well the models of a set tell their texts apart: on parts that they have not learnt."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from charrnn.model.identifier import Identifier, model_set_of
from charrnn.records import ProgressCallback, no_progress

PIECE = 100  # characters
_EVERY = 10  # stretches, of which one is held out
_MOST_PIECES, _MOST_SCORED = 50, 50_000_000  # of a model; characters that all models together score


class HeldOut(NamedTuple):
    """The answers for pieces of a text that its model has not learnt.

    Attributes:
        pieces: how many there are.
        right: how many of them the text's own model explains best.
        taken_for: the commonest wrong answer, "none" among them; None if there is none.
    """

    pieces: int
    right: int
    taken_for: str | None


def check(
    parts: Mapping[str, Sequence[bytes]],
    threads: int | None = None,
    progress: ProgressCallback = no_progress,
) -> dict[str, HeldOut]:
    """Learn nine tenths of each text, and ask for pieces of 100 characters of the rest.

    Args:
        parts: the stretches of each text by name; one of a single stretch is learnt and not asked for.
        threads: how many to use; None for all.
        progress: called with bytes read and all bytes.
    """
    learnt = {name: [each for k, each in enumerate(found) if not _is_held_out(k)] for name, found in parts.items()}
    identifier = Identifier.from_set(model_set_of(learnt), threads=threads)
    most = max(1, min(_MOST_PIECES, _MOST_SCORED // (PIECE * len(parts) ** 2)))
    asked = [
        (name, piece)
        for name, found in parts.items()
        for piece in _pieces(b"".join(each for k, each in enumerate(found) if _is_held_out(k)), most)
    ]
    answers = identifier.identify_all([piece for _, piece in asked], progress)
    found = {name: Counter() for name in parts}
    for (name, _), answer in zip(asked, answers, strict=True):
        found[name][answer.name or "none"] += 1
    return {name: _held_out(name, counts) for name, counts in found.items()}


def _is_held_out(number: int) -> bool:
    return number % _EVERY == 1


def _pieces(data: bytes, most: int) -> list[str]:
    lines = (" ".join(line.split()) for line in data.decode("utf-8", "surrogateescape").split("\n"))
    text = "\n".join(filter(None, lines))  # a list of words has short lines, and its model knows where they end
    places = range(0, len(text) - PIECE + 1, PIECE)
    step = -(-len(places) // most) or 1
    return [text[place : place + PIECE] for place in places[::step]]


def _held_out(name: str, counts: Counter) -> HeldOut:
    wrong = Counter({other: count for other, count in counts.items() if other != name})
    return HeldOut(counts.total(), counts[name], wrong.most_common(1)[0][0] if wrong else None)
