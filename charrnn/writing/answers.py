"""Answers to the requests of editors: one JSON object a request, one an answer. docs/WRITING.md describes them."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from charrnn.errors import CharRNNError, ConfigError, brief
from charrnn.inference.mixture import networks_of
from charrnn.inference.sampler import Choice
from charrnn.system import strict_json
from charrnn.writing.session import GUESSES, Session
from charrnn.writing.states import has_cells

PROTOCOL = 1
LONGEST_LINE = 64 * 2**20  # bytes
MOST_CANDIDATES, MOST_LENGTH, MOST_CELLS = 100, 10_000, 1000
MOST_VALUES = 100_000  # characters times cells of one answer
_MISSING = object()


class Answers:
    """Answers requests about the draft of a session.

    Args:
        session: a session, whose settings are those of a request that does not say otherwise.
    """

    def __init__(self, session: Session):
        self._session = session
        self._operations: Mapping[str, Callable[[_Request], dict[str, Any]]] = {
            "info": self._info,
            "text": self._text,
            "edit": self._edit,
            "continue": self._continue,
            "cells": self._cells,
        }

    def answer(self, line: bytes) -> dict[str, Any]:
        """The answer to a line: an object with the ``id`` of the request, and with ``error`` if it cannot be met."""
        identity = None
        try:
            request = self._parsed(line)
            identity = request.take("id", (str, int, type(None)), None)
            operation = request.take("op", (str,))
            if operation not in self._operations:
                raise ConfigError(f"op must be one of {', '.join(self._operations)}, not {brief(operation)}")
            with _Kept(self._session):
                found = self._operations[operation](request)
                request.require_empty()
            return {"id": identity, **found}
        except CharRNNError as error:
            return {"id": identity, "error": str(error)}
        except MemoryError:
            return {"id": identity, "error": "not enough memory: ask for less"}

    def _parsed(self, line: bytes) -> "_Request":
        if len(line) > LONGEST_LINE:
            raise ConfigError(f"a request has at most {LONGEST_LINE:,} bytes")
        try:
            values = strict_json.parse(line)
        except UnicodeDecodeError:
            raise ConfigError("a request is JSON in UTF-8, and this is not UTF-8") from None
        except json.JSONDecodeError as error:
            raise ConfigError(f"a request is a JSON object in one line: {error.msg} at {error.pos}") from None
        except ValueError as error:
            raise ConfigError(f"a request is a JSON object in one line: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"a request is a JSON object, not {brief(values)}")
        return _Request(values)

    # ---- the operations

    def _info(self, request: "_Request") -> dict[str, Any]:
        """What the model is, and the settings."""
        session, model = self._session, self._session.model
        network = networks_of(model.network)[0]
        signals = [signal.name for signal in network.cell.signals] if has_cells(model) else []
        sizes = {"cell": network.cell.name, "layers": network.config.layers, "hidden": network.config.hidden}
        settings = {**vars(session.choice), "seed": session.seed, "length": session.length}
        reads = {"least": session.least, "most": session.most}
        about = {"is_bytes": model.vocabulary.is_bytes, "symbols": len(model.vocabulary), "signals": signals}
        return {"protocol": PROTOCOL, "model": sizes | about, "reads": reads, "settings": settings}

    def _text(self, request: "_Request") -> dict[str, Any]:
        """Replace the draft, if the request has one, and put the cursor."""
        self._place(request)
        return self._where()

    def _edit(self, request: "_Request") -> dict[str, Any]:
        """Replace a part of the draft."""
        draft = self._session.draft
        at = request.whole("at", 0, len(draft.text), draft.cursor)
        count = request.whole("remove", 0, len(draft.text) - at, 0)
        inserted = request.text("insert", "")
        cursor = request.whole("cursor", 0, len(draft.text) - count + len(inserted), at + len(inserted))
        draft.replace(at, count, inserted)
        draft.move(cursor)
        return self._where()

    def _continue(self, request: "_Request") -> dict[str, Any]:
        """The continuations at the cursor, and the most probable next characters."""
        session = self._session
        self._place(request)
        count = request.whole("count", 0, MOST_CANDIDATES, 1)
        first = request.whole("first", 0, 2**31, 0)
        session.length = request.whole("length", 1, MOST_LENGTH, session.length)
        session.seed = request.whole("seed", 0, 2**63 - 1, session.seed)
        session.choice = self._choice(request)
        guesses = request.whole("guesses", 0, len(session.model.vocabulary), GUESSES)
        numbers = range(first, first + count)
        candidates = [
            {"number": number, "text": session.continuation(number), "word": session.word(number)} for number in numbers
        ]
        return {
            **self._where(),
            "candidates": candidates,
            "guesses": [vars(guess) for guess in session.guesses(guesses)],
            "unknown": session.unknown_characters,
        }

    def _cells(self, request: "_Request") -> dict[str, Any]:
        """The values of cells after each character of a part of the draft."""
        session = self._session
        self._place(request)
        last = request.whole("last", 0, len(session.draft.text), session.draft.cursor)
        first = request.whole("first", 0, last, 0)
        named = request.take("cells", (list,))
        signal = request.take("signal", (str, type(None)), None)
        if not 1 <= len(named) <= MOST_CELLS:
            raise ConfigError(f"cells must be a list of 1 to {MOST_CELLS:,} cells as in 1:37")
        if (last - first) * len(named) > MOST_VALUES:
            raise ConfigError(
                f"{last - first:,} characters of {len(named):,} cells are more than {MOST_VALUES:,} values"
            )
        values = {}
        for name in named:
            session.show(cell_of(name), signal)
            found, _ = session.values(first, last, len(session.draft.text) + 1)
            values[name] = [None if math.isnan(each) else float(each) for each in found]
        shown = session.shown
        assert shown is not None, "there is at least one cell"
        return {**self._where(), "signal": shown.signal.name, "low": shown.signal.low, "first": first, "values": values}

    # ---- what they share

    def _place(self, request: "_Request") -> None:
        draft = self._session.draft
        if request.has("text"):
            text = request.text("text")
            if text != draft.text:
                draft.replace(0, len(draft.text), text)
            draft.move(len(text))
        draft.move(request.whole("cursor", 0, len(draft.text), draft.cursor))

    def _where(self) -> dict[str, Any]:
        draft = self._session.draft
        return {"length": len(draft.text), "cursor": draft.cursor}

    def _choice(self, request: "_Request") -> Choice:
        choice = self._session.choice
        top_k = request.whole("top_k", 0, 2**31, choice.top_k)
        numbers = {name: request.number(name, getattr(choice, name)) for name in ("temperature", "top_p", "min_p")}
        return replace(choice, top_k=top_k, **numbers)


class _Kept:
    """A block that leaves the settings of a session as they were, and after an error its text and cursor, too."""

    def __init__(self, session: Session):
        self._session = session

    def __enter__(self) -> None:
        session = self._session
        self._settings = session.choice, session.seed, session.length, session.shown
        self._before = session.draft.version, session.draft.cursor

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        session = self._session
        session.choice, session.seed, session.length, session.shown = self._settings
        if kind is not None:
            if session.draft.version != self._before[0]:
                session.draft.undo()
            session.draft.move(self._before[1])


class _Request:
    """The values of a request, each of which is taken once."""

    def __init__(self, values: dict[str, Any]):
        self._values = values

    def has(self, name: str) -> bool:
        return name in self._values

    def take(self, name: str, kinds: tuple[type, ...], default: Any = _MISSING) -> Any:
        """A value of one of these types.

        Raises:
            ConfigError: it is missing without a default, or of another type.
        """
        value = self._values.pop(name, default)
        if value is _MISSING:
            raise ConfigError(f"{name} is missing")
        if value is not default and type(value) not in kinds:
            names = {str: "a string", int: "a whole number", float: "a number", list: "a list", type(None): "null"}
            raise ConfigError(f"{name} must be {' or '.join(names[kind] for kind in kinds)}, not {brief(value)}")
        return value

    def whole(self, name: str, least: int, most: int, default: int) -> int:
        """A whole number from ``least`` to ``most``."""
        value: int = self.take(name, (int,), default)
        if not least <= value <= most:
            raise ConfigError(f"{name} must be from {least:,} to {most:,}, not {brief(value)}")
        return value

    def number(self, name: str, default: float) -> float:
        """A number; its range is checked by what takes it."""
        value = self.take(name, (float, int), default)
        return float(value)

    def text(self, name: str, default: Any = _MISSING) -> str:
        """A string without half characters (lone surrogates)."""
        value: str = self.take(name, (str,), default)
        if any("\ud800" <= each <= "\udfff" for each in value):
            raise ConfigError(f"{name} has half a character, a lone surrogate")
        return value

    def require_empty(self) -> None:
        """Raise ConfigError if a value has not been taken."""
        if self._values:
            raise ConfigError(f"unknown: {', '.join(brief(name) for name in list(self._values)[:5])}")


def cell_of(name: Any) -> tuple[int, int]:
    """The cell that is written as LAYER:UNIT, from 0.

    Raises:
        ConfigError: it is not.
    """
    layer, colon, unit = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not (colon and all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (layer, unit))):
        raise ConfigError(f"{brief(name)} is not LAYER:UNIT, two numbers from 0 as in 1:37")
    return int(layer), int(unit)
