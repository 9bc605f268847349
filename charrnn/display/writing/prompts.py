"""Questions in the last line of the screen: for the temperature, and for the cell that colours the text."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from charrnn.errors import CharRNNError
from charrnn.sanitise import visible
from charrnn.writing.answers import cell_of
from charrnn.writing.session import Session

_TEMPERATURE_STEP, _HOTTEST = 0.1, 100.0


@dataclass
class Prompt:
    """A question and the answer so far.

    Attributes:
        question: what the line begins with.
        answer: what is typed.
        done: what Enter does with it: it returns what is wrong with it, or "".
        stepped: what Up (1) and Down (-1) make of it.
    """

    question: str
    answer: str
    done: Callable[[str], str]
    stepped: Callable[[str, int], str]

    def type(self, data: str) -> None:
        """Add what was typed."""
        self.answer += visible(data, "")

    def shorten(self, count: int) -> None:
        """Remove ``count`` characters at the end."""
        self.answer = self.answer[: max(len(self.answer) - count, 0)]

    def step(self, sign: int) -> None:
        """Change the answer by a step."""
        self.answer = self.stepped(self.answer, sign)


def ask_temperature(session: Session) -> Prompt:
    """The question for the temperature of drawn continuations."""

    def done(answer: str) -> str:
        try:
            value = float(answer)
            if not value <= _HOTTEST:
                raise ValueError
            session.choice = replace(session.choice, temperature=value)
        except (ValueError, CharRNNError):
            return f"the temperature is a number from 0 to {_HOTTEST:g}, not {answer!r}"
        session.number = max(session.number, 1)
        return ""

    def stepped(answer: str, sign: int) -> str:
        try:
            return f"{min(max(round(float(answer) + sign * _TEMPERATURE_STEP, 6), 0), _HOTTEST):g}"
        except ValueError:
            return answer

    return Prompt("Temperature (Up, Down, Enter): ", f"{session.choice.temperature:g}", done, stepped)


def ask_cell(session: Session) -> Prompt:
    """The question for the cell that colours the text, and its signal."""

    def done(answer: str) -> str:
        cell, _, signal = answer.strip().partition(" ")
        try:
            session.show(cell_of(cell) if cell else None, signal.strip() or None)
        except CharRNNError as error:
            return str(error)
        return ""

    def stepped(answer: str, sign: int) -> str:
        cell, space, signal = answer.strip().partition(" ")
        try:
            layer, unit = cell_of(cell or "0:-1" if sign < 0 else cell or "0:0")
        except CharRNNError:
            return answer
        return f"{layer}:{max(unit + sign * bool(cell), 0)}{space}{signal}"

    shown = session.shown
    before = "" if shown is None else f"{shown.cell[0]}:{shown.cell[1]} {shown.signal.name}"
    return Prompt("Cell as 1:37 or 1:37 h, empty for none: ", before, done, stepped)
