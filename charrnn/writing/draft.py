"""A text that is being written: a cursor, and edits that can be undone."""

import re
from typing import NamedTuple

MOST_EDITS, MOST_CHARACTERS = 10_000, 16_000_000  # that are kept to be undone
_WORD = re.compile(r"\w+|[^\w\s]+")
_FAR = 1000  # characters in which a word is looked for


class Edit(NamedTuple):
    """``removed`` became ``inserted`` at place ``at``; ``cursor`` is where the cursor was before."""

    at: int
    removed: str
    inserted: str
    cursor: int


class Draft:
    """A text with a cursor.

    What is typed character by character is undone word by word.

    Attributes:
        text: the text.
        cursor: a place from 0 to the length of the text.
        version: a number that every change of the text raises.
    """

    def __init__(self, text: str = "", cursor: int | None = None):
        self.text, self.version = text, 0
        self.cursor = len(text) if cursor is None else min(max(cursor, 0), len(text))
        self._done: list[Edit] = []
        self._undone: list[Edit] = []
        self._kept = 0  # characters in both lists
        self._grows = False  # whether the next edit may become a part of the last one

    @property
    def before(self) -> str:
        """The text before the cursor."""
        return self.text[: self.cursor]

    def line(self) -> tuple[int, int]:
        """Where the line of the cursor begins and ends."""
        end = self.text.find("\n", self.cursor)
        return self.text.rfind("\n", 0, self.cursor) + 1, len(self.text) if end < 0 else end

    def word_before(self) -> int:
        """Where the word before the cursor begins."""
        start = max(self.cursor - _FAR, 0)
        words = list(_WORD.finditer(self.text, start, self.cursor))
        return words[-1].start() if words else start

    def word_behind(self) -> int:
        """Where the word behind the cursor ends."""
        stop = min(self.cursor + _FAR, len(self.text))
        found = _WORD.search(self.text, self.cursor, stop)
        return found.end() if found else stop

    def replace(self, at: int, count: int, inserted: str) -> None:
        """Put ``inserted`` in place of ``count`` characters from ``at`` on; the cursor goes behind it."""
        edit = Edit(at, self.text[at : at + count], inserted, self.cursor)
        if not (edit.removed or inserted):
            return
        self._apply(edit)
        self._drop(self._undone)
        self._keep(edit)
        self._grows = False

    def insert(self, text: str) -> None:
        """Insert a text at the cursor, as one edit."""
        self.replace(self.cursor, 0, text)

    def type(self, character: str) -> None:
        """Insert a character that was typed: a part of the last edit, until a word begins."""
        last = self._done[-1] if self._grows and self._done else None
        self.insert(character)
        if last is not None and not last.removed and last.at + len(last.inserted) == self._done[-1].at:
            begins_word = last.inserted[-1:].isspace() and not character.isspace()
            if not begins_word:
                self._join(last._replace(inserted=last.inserted + character))
        self._grows = True

    def erase(self, count: int) -> None:
        """Remove ``count`` characters before the cursor, or -``count`` behind it; one is a part of the last edit."""
        first = max(self.cursor - count, 0) if count > 0 else self.cursor
        last_place = self.cursor if count > 0 else min(self.cursor - count, len(self.text))
        last = self._done[-1] if self._grows and self._done else None
        if first == last_place:
            return
        self.replace(first, last_place - first, "")
        if last is not None and abs(count) == 1 and not last.inserted:
            removed = self._done[-1].removed
            if first + 1 == last.at:
                self._join(last._replace(at=first, removed=removed + last.removed))
            elif first == last.at:
                self._join(last._replace(removed=last.removed + removed))
        self._grows = abs(count) == 1

    def move(self, place: int) -> None:
        """Put the cursor at a place of the text."""
        self.cursor, self._grows = min(max(place, 0), len(self.text)), False

    def undo(self) -> bool:
        """Take the last edit back; whether there was one."""
        if not self._done:
            return False
        edit = self._done.pop()
        self._apply(Edit(edit.at, edit.inserted, edit.removed, 0))
        self.cursor, self._grows = edit.cursor, False
        self._undone.append(edit)
        return True

    def redo(self) -> bool:
        """Make the edit again that was taken back last; whether there was one."""
        if not self._undone:
            return False
        edit = self._undone.pop()
        self._apply(edit)
        self._grows = False
        self._done.append(edit)
        return True

    def _apply(self, edit: Edit) -> None:
        self.text = self.text[: edit.at] + edit.inserted + self.text[edit.at + len(edit.removed) :]
        self.cursor = edit.at + len(edit.inserted)
        self.version += 1

    def _join(self, edit: Edit) -> None:
        """``edit`` in place of the last two."""
        self._drop(self._done, 2)
        self._keep(edit)

    def _keep(self, edit: Edit) -> None:
        self._done.append(edit)
        self._kept += len(edit.removed) + len(edit.inserted)
        while len(self._done) > MOST_EDITS or (self._kept > MOST_CHARACTERS and len(self._done) > 1):
            oldest = self._done.pop(0)
            self._kept -= len(oldest.removed) + len(oldest.inserted)

    def _drop(self, edits: list[Edit], count: int | None = None) -> None:
        for edit in edits[-count:] if count else edits:
            self._kept -= len(edit.removed) + len(edit.inserted)
        del edits[-count if count else 0 :]
