"""Regular expressions in Python's syntax, as far as a finite automaton can decide them, as a tree.

The whole text matches, as with ``re.fullmatch``.  There are literals, escapes, classes, ``.``, groups, ``|``, ``?``,
``*``, ``+`` and ``{m,n}``; a lazy count means the same as a greedy one.  What no automaton decides (references to
groups), or what needs larger ones (look-ahead), is refused, and so are flags.

Python's own parser is not used: its tree is no public interface, and it takes no bound on depth or size.
"""

import re
import unicodedata
from typing import NamedTuple

from charrnn.errors import ConfigError
from charrnn.text.code_ranges import Ranges, category, complement, united

DEEPEST = 100  # groups inside one another
MOST_PARTS = 20_000  # characters, classes and groups
_MOST_DIGITS = 12  # of a count
_COUNT = re.compile(r"\{(?:(\d+)|(\d*),(\d*))\}", re.ASCII)
_OCTAL = re.compile(r"0[0-7]{0,2}|[0-3][0-7]{2}")
_COMMENT = re.compile(r"\(\?#(?:[^\\)]|\\[\s\S])*+\)")  # an escaped bracket does not end it
_NAME = re.compile(r"\{([^}]+)\}")
_SHOWN = 60  # characters of an expression that a message shows
_CONTROL = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_HEXADECIMAL = {"x": 2, "u": 4, "U": 8}
_GROUPS = {
    "=": "look-ahead is not supported: write what may follow into the expression itself",
    "!": "look-ahead is not supported: write what may follow into the expression itself",
    "<=": "look-behind is not supported: write what may stand before into the expression itself",
    "<!": "look-behind is not supported: write what may stand before into the expression itself",
    "P=": "no automaton remembers a group: write the alternatives, as in (aa|bb)",
    "(": "no automaton remembers a group: write the alternatives, as in (aa|bb)",
    ">": "groups that are never given back are not supported: write (?:…)",
}
_ANY = complement(united([(10, 10)]))


class Characters(NamedTuple):
    """One character out of a set."""

    ranges: Ranges


class Sequence(NamedTuple):
    """Parts, one after another; none for the empty text."""

    parts: tuple["Node", ...]


class Alternatives(NamedTuple):
    """One of several parts."""

    parts: tuple["Node", ...]


class Repeat(NamedTuple):
    """A part ``least`` to ``most`` times; without an upper bound if ``most`` is None."""

    part: "Node"
    least: int
    most: int | None


Node = Characters | Sequence | Alternatives | Repeat


def parse(expression: str) -> Node:
    """The tree of a regular expression.

    Raises:
        ConfigError: it is none, or has something that is not supported; with the place and what to write instead.
    """
    return _Parser(expression).parse()


class _Group:
    """A group that is open: the alternatives before the current one, and the parts of the current one."""

    def __init__(self, place: int):
        self.place, self.done, self.parts = place, [], []

    def next_alternative(self) -> None:
        self.done.append(self.parts[0] if len(self.parts) == 1 else Sequence(tuple(self.parts)))
        self.parts = []

    def node(self) -> Node:
        self.next_alternative()
        return self.done[0] if len(self.done) == 1 else Alternatives(tuple(self.done))


class _Parser:
    """Reads an expression from left to right, with a stack of open groups instead of recursion."""

    def __init__(self, expression: str):
        self._text, self._at = expression, 0
        self._groups, self._names = [_Group(0)], set()
        self._parts = 0
        self._repeatable = False  # whether a count may follow
        self._ended = False  # whether a $ was the last thing, which only the end of the expression or a | may follow

    def parse(self) -> Node:
        lone = next((k for k, each in enumerate(self._text) if "\ud800" <= each <= "\udfff"), None)
        if lone is not None:
            raise self._error(lone, "half a character: the expression has to be UTF-8")
        while self._at < len(self._text):
            self._step()
        if len(self._groups) > 1:
            raise self._error(self._groups[-1].place, "a ( without its )")
        return self._groups[0].node()

    def _step(self) -> None:
        place, sign = self._at, self._text[self._at]
        self._at += 1
        if self._ended and sign != "|":
            raise self._error(place, "something follows $, which is the end of the text")
        if sign == "(":
            self._open(place)
        elif sign == ")":
            self._close(place)
        elif sign == "|":
            self._groups[-1].next_alternative()
            self._repeatable = self._ended = False
        elif sign in "*+?" or (sign == "{" and _COUNT.match(self._text, place)):
            self._repeat(place, sign)
        elif sign in "^$":
            self._anchor(place, sign)
        elif sign == "[":
            self._add(Characters(self._class(place)))
        elif sign == "\\":
            self._escaped(place)
        else:
            self._add(Characters(_ANY if sign == "." else _one(ord(sign))))

    def _add(self, node: Node) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise self._error(self._at - 1, f"an expression of more than {MOST_PARTS:,} parts is too long")
        self._groups[-1].parts.append(node)
        self._repeatable = True

    def _anchor(self, place: int, sign: str) -> None:
        """``^`` and ``$``, which say nothing where the whole text matches, and are refused elsewhere."""
        group = self._groups[-1]
        if len(self._groups) > 1 or (sign == "^" and group.parts):
            raise self._error(place, f"leave {sign} out: the whole text matches")
        self._repeatable, self._ended = False, sign == "$"
        if sign == "^":  # a part, so that no second one follows; as a count may not
            group.parts.append(Sequence(()))

    def _open(self, place: int) -> None:
        if len(self._groups) > DEEPEST:
            raise self._error(place, f"groups are more than {DEEPEST} deep: take some apart")
        if self._text.startswith("?", self._at):
            if self._text.startswith("#", self._at + 1):
                comment = _COMMENT.match(self._text, place)
                if not comment:
                    raise self._error(place, "a comment without its )")
                self._at = comment.end()
                return  # a count after it belongs to what stands before it
            self._extension(place)
        self._groups.append(_Group(place))
        self._repeatable = False

    def _extension(self, place: int) -> None:
        """What follows ``(?``."""
        rest = self._text[self._at + 1 : self._at + 20]
        if rest.startswith(":"):
            self._at += 2
            return
        if rest.startswith("P<"):
            end = self._text.find(">", self._at)
            name = self._text[self._at + 3 : end] if end >= 0 else ""
            if not name.isidentifier() or name in self._names:
                raise self._error(place, "the name of a group is missing, taken, or no name")
            self._names.add(name)
            self._at = end + 1
            return
        for start, advice in _GROUPS.items():
            if rest.startswith(start):
                raise self._error(place, advice)
        if re.match(r"[aiLmsux-]+[:)]", rest):
            raise self._error(place, "flags are not supported: write [Aa] for (?i), [\\s\\S] for . with (?s)")
        raise self._error(place, "(? begins no group that Python knows")

    def _close(self, place: int) -> None:
        if len(self._groups) == 1:
            raise self._error(place, "a ) without its (: write \\) for the character")
        node = self._groups.pop().node()
        self._add(node)

    def _repeat(self, place: int, sign: str) -> None:
        if not self._repeatable:
            raise self._error(place, f"{sign} has nothing to repeat: write \\{sign} for the character")
        if sign == "{":
            found = _COUNT.match(self._text, place)
            assert found
            self._at = found.end()
            exactly, low, high = found.groups()
            least = _number(exactly or low or "0")
            most = least if exactly else _number(high) if high else None
            if most is not None and most < least:
                raise self._error(place, "the larger number stands first")
        else:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        if self._text.startswith("?", self._at):  # lazy: the same texts
            self._at += 1
        elif self._text.startswith("+", self._at):
            raise self._error(place, "counts that are never given back, as in a*+, are not supported: leave the + out")
        parts = self._groups[-1].parts
        parts[-1] = Repeat(parts[-1], least, most)
        self._repeatable = False

    def _escaped(self, place: int) -> None:
        sign = self._text[self._at : self._at + 1]
        if sign and sign in "bB":
            raise self._error(place, f"\\{sign} is not supported: write the characters around it")
        if sign and sign in "AZ":
            self._at += 1
            self._anchor(place, {"A": "^", "Z": "$"}[sign])
            return
        if sign and sign in "123456789" and not self._octal(place):
            raise self._error(place, _GROUPS["P="])
        found = self._escape(place)
        self._add(Characters(found if isinstance(found, tuple) else _one(found)))

    def _octal(self, place: int) -> bool:
        """Whether the backslash at ``place`` begins a number of three octal digits, as ``\\101``."""
        return re.match(r"\\[0-3][0-7]{2}", self._text[place : place + 4]) is not None

    def _escape(self, place: int) -> int | Ranges:
        """The code point, or the set, of the escape whose backslash is at ``place``, inside a class or outside."""
        if self._at >= len(self._text):
            raise self._error(place, "a backslash at the end: write \\\\ for the character")
        sign = self._text[self._at]
        self._at += 1
        if sign in "dDsSwW":
            return category(sign)
        if sign in _CONTROL:
            return ord(_CONTROL[sign])
        if sign in _HEXADECIMAL:
            digits = self._text[self._at : self._at + _HEXADECIMAL[sign]]
            if not re.fullmatch(rf"[0-9a-fA-F]{{{_HEXADECIMAL[sign]}}}", digits):
                raise self._error(place, f"\\{sign} is followed by {_HEXADECIMAL[sign]} hexadecimal digits")
            self._at += len(digits)
            return self._point(place, int(digits, 16))
        if sign == "N":
            name = _NAME.match(self._text, self._at)
            try:
                point = ord(unicodedata.lookup(name[1])) if name else -1
            except (KeyError, TypeError):  # no such name, or the name of a sequence
                point = -1
            if not name or point < 0:
                raise self._error(place, "\\N is followed by the name of a character, as in \\N{EM DASH}")
            self._at = name.end()
            return point
        if sign in "0123456789":
            digits = _OCTAL.match(self._text, self._at - 1)
            if not digits:
                raise self._error(place, f"\\{sign} is no character")
            self._at = digits.end()
            return int(digits[0], 8)
        if sign.isascii() and sign.isalpha():
            raise self._error(place, f"\\{sign} means nothing: leave the backslash out")
        return ord(sign)

    def _point(self, place: int, point: int) -> int:
        if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
            raise self._error(place, "no character has this number")
        return point

    def _class(self, place: int) -> Ranges:
        """The set of a class whose bracket is at ``place``."""
        negated = self._text.startswith("^", self._at)
        self._at += negated
        found: list[tuple[int, int]] = []
        begun = self._at
        while True:
            if self._at >= len(self._text):
                raise self._error(place, "a [ without its ]")
            if self._text[self._at] == "]" and self._at > begun:
                self._at += 1
                break
            at, first = self._at, self._member()
            if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
                self._at += 1
                last = self._member()
                if isinstance(first, tuple) or isinstance(last, tuple) or last < first:
                    raise self._error(at, "this range has no first and last character in order")
                found.append((first, last))
            else:
                found += first if isinstance(first, tuple) else [(first, first)]
        ranges = united(found)
        return complement(ranges) if negated else ranges

    def _member(self) -> int | Ranges:
        """One member of a class."""
        place, sign = self._at, self._text[self._at]
        self._at += 1
        if self._text.startswith("[:", place):
            raise self._error(place, "names of classes such as [:alpha:] are not supported: write [A-Za-z]")
        if sign != "\\":
            return ord(sign)
        if self._text.startswith("b", self._at):
            self._at += 1
            return 8
        return self._escape(place)

    def _error(self, place: int, what: str) -> ConfigError:
        shown = self._text if len(self._text) <= _SHOWN else f"{self._text[:_SHOWN]}…"
        return ConfigError(f"the expression {shown!r}, at character {place + 1}: {what}")


def _one(point: int) -> Ranges:
    return ((point, point),)


def _number(digits: str) -> int:
    """A count, at most one that no automaton holds: int() refuses numbers of thousands of digits."""
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) < _MOST_DIGITS else 10**_MOST_DIGITS
