"""The screen of a writing session in a terminal: keys change the session, and the lines show it.

A key changes the draft, and the screen shows the text with the continuation.  Where the continuation would take longer
than ``PROMPTLY``, the text is shown first.  All other reading is done in slices of about ``SLICE`` while no key waits.
"""

import asyncio
import contextlib
import functools
import gc
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from prompt_toolkit.application import Application
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from charrnn.display.terminal.colours import Depth
from charrnn.display.writing.layout import place_in, rows_around
from charrnn.display.writing.prompts import Prompt, ask_cell, ask_temperature
from charrnn.display.writing.view import Scene, View
from charrnn.errors import CharRNNError
from charrnn.sanitise import visible
from charrnn.writing.manuscript import ChangedError, Manuscript, Recovery
from charrnn.writing.session import Session

SLICE, PROMPTLY = 0.005, 0.012  # seconds
AUTOSAVE = 10.0  # seconds between two autosaves
INTERRUPTED = 130  # the exit status of a program that Ctrl-C ends
_DEPTHS = {
    Depth.NONE: ColorDepth.DEPTH_1_BIT,
    Depth.ANSI16: ColorDepth.DEPTH_4_BIT,
    Depth.ANSI256: ColorDepth.DEPTH_8_BIT,
    Depth.TRUECOLOUR: ColorDepth.DEPTH_24_BIT,
}
_STYLES = {
    "ghost": "fg:#808080",
    "dim": "fg:#808080",
    "bar": "fg:#3d8fe0",
    "status": "reverse",
    "key": "bold",
    "error": "bold fg:#d9701f",
}
_PLAIN = {"status": "reverse", "key": "bold", "error": "bold"}
_LEAST_SLICE, _MOST_SLICE = 32, 2048  # characters


class Screen:
    """A session on a terminal.

    Args:
        session: what is written.
        manuscript: the file, or None for a text without one.
        recovery: where a text without a file is kept.
        depth: the terminal's colours.
        names: what cells track, by (layer, unit), in words.
        notes: sentences to show at the beginning.

    Attributes:
        app: prompt_toolkit's application.
        is_lost: after :meth:`run`, whether the terminal went away.
    """

    def __init__(
        self,
        session: Session,
        manuscript: Manuscript | None,
        recovery: Recovery,
        depth: Depth,
        names: dict[tuple[int, int], str] | None = None,
        notes: str = "",
    ):
        self._session, self._manuscript, self._recovery = session, manuscript, recovery
        self._names, self._message, self._is_error = names or {}, notes, False
        encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
        self._view = View(depth, ascii=not encoding.startswith("utf"))
        self._is_dumb = os.environ.get("TERM") == "dumb"
        self._suggests, self._help = True, -1
        self._prompt: Prompt | None = None
        self._begun = ""  # "[" or "O" after ESC, while the rest of a key is awaited
        self._column: int | None = None  # that the cursor keeps while it moves up and down
        self._ghost = ""
        self._guesses: list[tuple[str, float]] | None = None
        self._ghost_of: tuple[str, tuple[object, ...]] = ("", ())  # the text before the cursor, and the settings
        self._computed: tuple[object, ...] | None = None  # what the ghost and the guesses belong to
        self._is_slow = False
        self._slice = 64
        self._tail = (0, np.zeros(0, np.float32))  # the length of the text, and values as shown last
        self._tail_of, self._first_seen = session.shown, 0
        self._values_left = False
        self._warned = self._told = False  # that another program has changed the file
        self._saved_version = session.draft.version
        self._failure: BaseException | None = None
        self.is_lost = False
        self._awake = asyncio.Event()
        self.app: Application[int] = Application(
            layout=Layout(Window(FormattedTextControl(self._shown, focusable=True), always_hide_cursor=False)),
            key_bindings=self._keys(),
            full_screen=True,
            style=Style.from_dict({} if self._is_dumb else _PLAIN if depth == Depth.NONE else _STYLES),
            color_depth=_DEPTHS[depth],
            enable_page_navigation_bindings=False,
            before_render=lambda _: self._compute(),
        )
        self.app.ttimeoutlen, self.app.timeoutlen = 0.05, 0.3

    # ---- running

    def run(self, writing: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext) -> int:
        """Show the screen until the user quits; the exit status. ``writing`` is around each write to the terminal."""
        gc.freeze()  # a full collection of what was imported would hold a key up for 60 ms
        flush = self.app.output.flush

        def flush_within() -> None:
            with writing():
                flush()

        self.app.output.flush = flush_within  # type: ignore[method-assign]
        return asyncio.run(self._run())

    def stop(self) -> None:
        """Have :meth:`run` return soon. A signal handler may call this."""
        loop = self.app.loop
        if loop is not None:
            loop.call_soon_threadsafe(self._exit, 0)

    async def _run(self) -> int:
        asyncio.get_running_loop().set_exception_handler(self._fail)
        tasks = [asyncio.ensure_future(each) for each in (self._work(), self._autosave())]
        try:
            status = await self.app.run_async(handle_sigint=False, set_exception_handler=False)
        except (EOFError, OSError):  # the terminal is gone
            self.is_lost, status = True, 1
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if isinstance(self._failure, EOFError | OSError):
            self.is_lost = True
        elif self._failure is not None:
            raise self._failure
        return status

    def _fail(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End, because a callback of the loop has raised an exception."""
        self._failure = self._failure or context.get("exception") or RuntimeError(context["message"])
        self._exit(1)

    def _exit(self, status: int) -> None:
        if self.app.is_running and not self.app.is_done:
            self.app.exit(result=status)

    async def _work(self) -> None:
        """Read on in slices, as long as something is left to read."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            while self._work_a_slice():
                await asyncio.sleep(0)
                self._awake.clear()

    def _work_a_slice(self) -> bool:
        """Do one slice of the most urgent work; whether there may be more."""
        session = self._session
        begun = time.perf_counter()
        if self._computed != self._wanted:
            if session.ready(self._slice):
                self._suggest()
                self.app.invalidate()
        elif self._values_left:
            _, self._values_left = session.values(*self._view.seen, self._slice)
            if not self._values_left:
                self.app.invalidate()
        elif not session.prepare(self._slice):
            return False
        taken = max(time.perf_counter() - begun, 1e-6)
        self._slice = int(min(max(self._slice * min(SLICE / taken, 2), _LEAST_SLICE), _MOST_SLICE))
        return True

    async def _autosave(self) -> None:
        """Save in a thread from time to time, so that a crash loses little."""
        while True:
            await asyncio.sleep(AUTOSAVE)
            draft = self._session.draft
            if draft.version == self._saved_version:
                await self._look_at_file()
                continue
            version, text = draft.version, draft.text
            try:
                await asyncio.to_thread((self._manuscript or self._recovery).save, text)
            except CharRNNError as error:
                self._not_saved(error)
            else:
                self._saved_version = version
            self.app.invalidate()

    async def _look_at_file(self) -> None:
        """Say, once, that another program has changed the file."""
        if self._manuscript is None or self._told:
            return
        self._told = await asyncio.to_thread(self._manuscript.was_changed)
        if self._told:
            self._say("another program has changed the file", is_error=True)
            self.app.invalidate()

    # ---- what is shown

    @property
    def _wanted(self) -> tuple[object, ...]:
        """What the continuation and the guesses depend on."""
        session = self._session
        draft = session.draft
        return (draft.version, draft.cursor, session.number, session.seed, session.choice, self._suggests)

    def _compute(self) -> None:
        """Before a rendering: have the continuation at hand, if that is quick."""
        if self._computed != self._wanted:
            begun = time.perf_counter()
            is_ready = self._session.ready(self._slice)
            if is_ready and not self._is_slow:
                self._suggest()
                self._is_slow = time.perf_counter() - begun > PROMPTLY
            else:
                self._ghost = self._rest_of_ghost()
                self._guesses = self._guesses if is_ready else None
        self._awake.set()

    def _rest_of_ghost(self) -> str:
        """What is left of the continuation, if what was written since is its beginning."""
        before, (old, settings), ghost = self._session.draft.before, self._ghost_of, self._ghost
        written = before[len(old) :]
        is_same = settings == self._wanted[2:] and before.startswith(old) and ghost.startswith(written)
        self._ghost_of = before, settings
        return ghost[len(written) :] if is_same else ""

    def _suggest(self) -> None:
        begun = time.perf_counter()
        session = self._session
        self._guesses = [(guess.character, guess.probability) for guess in session.guesses()]
        self._ghost = session.continuation() if self._suggests else ""
        self._computed = self._wanted
        self._ghost_of = session.draft.before, self._wanted[2:]
        self._is_slow = time.perf_counter() - begun > PROMPTLY

    def _shown(self) -> StyleAndTextTuples:
        size = self.app.output.get_size()
        if self._help >= 0:
            lines, self._help = self._view.keys(size.columns, size.rows, self._help)
            row, column = size.rows - 1, 0
        else:
            values = self._values if self._session.shown is not None else None
            lines, row, column = self._view.lines(self._scene(), size.columns, size.rows, values)
        found: StyleAndTextTuples = []
        for number, line in enumerate(lines):
            if number == row:
                line = _with_cursor(line, column)
            found += line
            if number < len(lines) - 1:
                found.append(("", "\n"))
        return found

    def _scene(self) -> Scene:
        session = self._session
        draft, shown = session.draft, session.shown
        cell, low = None, -1.0
        if shown is not None:
            cell = f"{shown.cell[0]}:{shown.cell[1]} {shown.signal.name}"
            low = shown.signal.low
        return Scene(
            text=draft.text,
            cursor=draft.cursor,
            ghost=self._ghost,
            guesses=self._guesses,
            state=self._state(),
            cell=cell,
            tracks="" if shown is None else self._names.get(shown.cell, ""),
            low=low,
            here=self._here(),
            message=self._message,
            is_error=self._is_error,
            prompt=None if self._prompt is None else (self._prompt.question, visible(self._prompt.answer, "")),
            wide_guesses=session.model.vocabulary.is_bytes,
        )

    def _state(self) -> list[tuple[int, str]]:
        """The parts of the status line, the most important first, with their places from the left."""
        session, draft = self._session, self._session.draft
        line = draft.text.count("\n", 0, draft.cursor) + 1
        column = draft.cursor - draft.text.rfind("\n", 0, draft.cursor)
        which = "most probable" if session.number == 0 else f"drawn {session.number}"
        parts = [
            (0, self._file_state()),
            (1, which if self._suggests else "continuations off"),
            (2, f"temperature {session.choice.temperature:g}"),
            (4, f"line {line:,}, column {column:,}"),
        ]
        if unknown := session.unknown_characters:
            parts.append((5, f"{unknown:,} unknown character{'s' * (unknown > 1)}"))
        parts.append((3, f"seed {session.seed}"))
        read = draft.cursor - session.origin(draft.cursor)
        if read < draft.cursor:
            parts.append((6, f"reads {read:,} characters"))
        return parts

    def _file_state(self) -> str:
        draft, manuscript = self._session.draft, self._manuscript
        if manuscript is None:
            return "no file"
        name = visible(manuscript.path.name, "")
        name = name if len(name) <= 24 else f"{name[:23]}…"
        if draft.text != manuscript.text:
            return f"{name} changed"
        return f"{name} saved" if manuscript.exists else f"{name} new"

    def _values(self, first: int, last: int) -> np.ndarray:
        """The cell's values; where they are not known yet, those that were shown for the same characters before."""
        found, self._values_left = self._session.values(first, last, _LEAST_SLICE)
        size = len(self._session.draft.text)
        if self._values_left:
            length, before = self._tail if self._tail_of == self._session.shown else (0, found[:0])
            # A character behind the cursor has moved by as many places as the text has grown.
            moved = np.arange(first, last) - self._first_seen - (size - length)
            usable = np.isnan(found) & (moved >= 0) & (moved < len(before))
            found[usable] = before[moved[usable]]
        self._tail, self._tail_of, self._first_seen = (size, found.copy()), self._session.shown, first
        return found

    def _here(self) -> float:
        cursor = self._session.draft.cursor
        if self._session.shown is None or cursor == 0:
            return float("nan")
        found, _ = self._session.values(cursor - 1, cursor, _LEAST_SLICE)
        return float(found[0])

    def _say(self, message: str, is_error: bool = False) -> None:
        self._message, self._is_error = visible(message, ""), is_error

    def _require(self, done: bool, otherwise: str) -> None:
        if not done:
            self._say(otherwise)

    # ---- keys

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        asked = Condition(lambda: self._prompt is not None)
        helped = Condition(lambda: self._help >= 0)
        usual = ~asked & ~helped & Condition(lambda: not self._begun)
        draft = self._session.draft

        def on(*names: str, when: Any = usual, keeps_column: bool = False) -> Callable[..., None]:
            def add(act: Callable[[KeyPressEvent], Any]) -> None:
                def handle(event: KeyPressEvent) -> None:
                    self._say("")
                    if not keeps_column:
                        self._column = None
                    quits = self._warned
                    act(event)
                    if quits and self._warned:
                        self._warned = False

                for name in names:
                    keys.add(*name.split(" "), filter=when)(handle)

            return add

        # Typing
        on(Keys.Any)(lambda event: self._type(_character(event)))
        on("escape <any>")(lambda event: None)  # Alt with a key that has no meaning
        on("escape [", "escape O", when=Condition(lambda: True))(lambda event: self._swallow(event.data))
        swallows = Condition(lambda: bool(self._begun))
        on(Keys.Any, when=swallows)(lambda event: self._swallow(event.data))
        on(Keys.BracketedPaste)(lambda event: draft.insert(_pasted(event.data)))
        on("enter", "c-j")(lambda event: draft.type("\n"))
        on("c-h", "backspace")(lambda event: draft.erase(1))
        on("delete", "c-d")(lambda event: draft.erase(-1))
        on("c-w", "escape backspace")(lambda event: draft.erase(draft.cursor - draft.word_before()))
        on("escape d")(lambda event: draft.erase(draft.cursor - draft.word_behind()))
        on("c-u")(lambda event: draft.erase(draft.cursor - draft.line()[0]))
        on("c-k")(lambda event: draft.erase(-max(draft.line()[1] - draft.cursor, 1)))
        on("c-z", "c-_")(lambda event: self._require(draft.undo(), "there is nothing to undo"))
        on("c-y")(lambda event: self._require(draft.redo(), "there is nothing to redo"))

        # Continuations
        on("tab")(lambda event: self._take_word())
        on("right")(lambda event: self._right())
        on("s-right")(lambda event: self._take_character())
        on("down", keeps_column=True)(lambda event: self._other(1))
        on("up", keeps_column=True)(lambda event: self._other(-1))
        on("c-r")(lambda event: self._draw_anew())
        on("c-t")(lambda event: self._ask(ask_temperature(self._session)))
        on("c-l")(lambda event: self._ask(ask_cell(self._session)))
        on("f2")(lambda event: self._switch())

        # Moving
        on("left", "c-b")(lambda event: draft.move(draft.cursor - 1))
        on("c-f")(lambda event: draft.move(draft.cursor + 1))
        on("c-left", "escape b")(lambda event: draft.move(draft.word_before()))
        on("c-right", "escape f")(lambda event: draft.move(draft.word_behind()))
        on("home", "c-a")(lambda event: draft.move(draft.line()[0]))
        on("end", "c-e")(lambda event: draft.move(draft.line()[1]))
        on("c-home", "escape <")(lambda event: draft.move(0))
        on("c-end", "escape >")(lambda event: draft.move(len(draft.text)))
        on("c-p", "c-up", keeps_column=True)(lambda event: self._move_rows(-1))
        on("c-n", "c-down", keeps_column=True)(lambda event: self._move_rows(1))
        on("pageup", keeps_column=True)(lambda event: self._move_rows(-self._page))
        on("pagedown", "c-v", keeps_column=True)(lambda event: self._move_rows(self._page))

        # The file, the end, the page of keys
        on("c-s")(lambda event: self._save())
        on("c-q", "c-x")(lambda event: self._quit())
        on("c-c", when=Condition(lambda: True))(lambda event: self._exit(INTERRUPTED))
        on("f1")(lambda event: self._show_help(0))
        on("down", "pagedown", when=helped)(lambda event: self._show_help(self._help + 5))
        on("up", "pageup", when=helped)(lambda event: self._show_help(max(self._help - 5, 0)))
        on(Keys.Any, "enter", "escape", "tab", "f1", "c-q", "c-x", when=helped)(lambda event: self._show_help(-1))

        # An answer to a question
        on_answer = functools.partial(on, when=asked)
        on_answer(Keys.Any)(lambda event: self._prompt.type(_character(event)))
        on_answer(Keys.BracketedPaste)(lambda event: self._prompt.type(event.data.strip()))
        on_answer("c-h", "backspace")(lambda event: self._prompt.shorten(1))
        on_answer("c-u")(lambda event: self._prompt.shorten(len(self._prompt.answer)))
        on_answer("up")(lambda event: self._prompt.step(1))
        on_answer("down")(lambda event: self._prompt.step(-1))
        on_answer("enter")(lambda event: self._finish(self._prompt))
        on_answer("escape", "c-g", "c-q", "c-x")(lambda event: self._ask(None))
        return keys

    def _type(self, data: str) -> None:
        for character in data:
            if "\ud800" <= character <= "\udfff":  # a byte that is not UTF-8
                self._session.draft.type("\ufffd")
            elif character.isprintable() or character.isspace():
                self._session.draft.type(character)

    def _swallow(self, data: str) -> None:
        """Drop the rest of a sequence for a key that prompt_toolkit does not know: ESC [ 1 ; 3 P, or ESC O P."""
        if not self._begun:
            self._begun = data
        elif self._begun == "O" or "@" <= data <= "~":
            self._begun = ""

    def _take_word(self) -> None:
        if self._suggests:
            self._require(bool(self._session.take_word()), "the model has no continuation here")
        else:
            self._session.draft.type("\t")

    def _take_character(self) -> None:
        self._require(bool(self._session.take_character()), "the model has no continuation here")

    def _right(self) -> None:
        draft = self._session.draft
        if self._suggests and draft.cursor == len(draft.text):
            self._take_character()
        else:
            draft.move(draft.cursor + 1)

    def _other(self, step: int) -> None:
        session = self._session
        if not self._suggests:
            self._move_rows(step)
        elif session.number + step < 0:
            self._say("this is the most probable continuation; Down draws others")
        else:
            session.number += step

    def _draw_anew(self) -> None:
        session = self._session
        session.seed += 1
        session.number = max(session.number, 1)

    def _switch(self) -> None:
        self._suggests = not self._suggests
        if not self._suggests:
            self._say("continuations off: Up, Down move, Tab is a tab; F2 ends it")

    def _ask(self, prompt: Prompt | None) -> None:
        self._prompt = prompt

    # ---- answers

    def _finish(self, prompt: Prompt) -> None:
        self._prompt = None
        if problem := prompt.done(prompt.answer):
            self._say(problem, is_error=True)

    def _show_help(self, offset: int) -> None:
        self._help = offset

    # ---- moving

    @property
    def _page(self) -> int:
        return max(self._view.room - 1, 1)

    def _move_rows(self, count: int) -> None:
        """Move the cursor by rows of the screen, in its column."""
        draft, columns = self._session.draft, self.app.output.get_size().columns
        rows, row, column = rows_around(draft.text, draft.cursor, "", columns, abs(count) + 1)
        self._column = column if self._column is None else self._column
        target = min(max(row + count, 0), len(rows) - 1)
        if target != row:
            draft.move(place_in(rows[target], self._column))
        else:
            draft.move(rows[row].start if count < 0 else rows[row].stop)

    # ---- saving

    def _not_saved(self, error: CharRNNError, more: str = "") -> None:
        """Say why the file could not be saved. If another program has changed it, the next key may overwrite it."""
        is_changed = isinstance(error, ChangedError)
        self._warned = self._warned or is_changed
        self._say("changed by another program: ^S overwrites, ^Q keeps both" if is_changed else f"{error}{more}", True)

    def _save(self) -> None:
        if self._manuscript is None:
            self._say("no file: the text goes to standard output at the end")
            return
        text = self._session.draft.text
        try:
            self._manuscript.save(text, over=self._warned)
        except CharRNNError as error:
            self._not_saved(error)
        else:
            self._saved_version, self._told = self._session.draft.version, False
            self._say(f"saved, {len(text):,} characters")

    def _quit(self) -> None:
        """Quit, unless the file cannot be saved: then say so first."""
        manuscript, text = self._manuscript, self._session.draft.text
        if manuscript is None or text == manuscript.text or self._warned:
            self._exit(0)
            return
        try:
            manuscript.save(text)
        except CharRNNError as error:
            self._warned = True
            self._not_saved(error, "; Ctrl-Q again quits")
        else:
            self._exit(0)


def _with_cursor(line: list[tuple[str, str]], column: int) -> list[tuple[str, str]]:
    """A line with the mark of the cursor before the text of a column."""
    from prompt_toolkit.layout.utils import explode_text_fragments
    from prompt_toolkit.utils import get_cwidth

    characters, left, cursor = explode_text_fragments(line), column, ("[SetCursorPosition]", "")
    for number, (_, character) in enumerate(characters):
        if left <= 0:
            return [*characters[:number], cursor, *characters[number:]]
        left -= get_cwidth(character)
    return [*characters, ("", " " * max(left, 0)), cursor]


def _character(event: KeyPressEvent) -> str:
    """The character of a key; "" for a key that has none, such as F5."""
    return "" if isinstance(event.key_sequence[-1].key, Keys) else event.data


def _pasted(text: str) -> str:
    """A pasted text: line breaks as the text has them; half characters replaced."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.encode("utf-8", "replace").decode() if re.search("[\ud800-\udfff]", text) else text
