"""``charrnn write``: a text that a person and a model write together."""

import sys
from pathlib import Path
from typing import Any

import click

from charrnn.commands import compiled, offers, sampling, signals
from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import Cells, signal_option
from charrnn.commands.options import checkpoint_argument, ngrams_option, quiet_option, threads_option, with_option
from charrnn.commands.types import Whole
from charrnn.commands.work import Work, command

_READ = 1 << 16  # bytes of standard input that are read at a time


class _OneCell(Cells):
    """A single cell as ``1:37``: a pair (layer, unit)."""

    def convert(self, value, param, ctx):
        """The cell, or a usage error."""
        if isinstance(value, tuple):
            return value
        cells = super().convert(value, param, ctx)
        if len(cells) != 1:
            self.fail(f"{value!r}: one cell colours the text.", param, ctx)
        return cells[0]


@command(
    Work,
    checkpoint_argument,
    click.argument(
        "file", required=False, type=click.Path(dir_okay=False, path_type=Path), shell_complete=offers.texts
    ),
    section(
        "What is shown",
        option("-n", "--length", type=Whole(1, 1000), default=40, help="Characters of a continuation."),
        option("--cell", type=_OneCell(), help="The cell that colours the text; Ctrl-L asks for one.  [default: none]"),
        signal_option,
        option("--serve", is_flag=True, help="Answer requests of an editor: JSON lines on stdin and stdout."),
    ),
    section("How the model writes", *sampling.choice_options("0")),
    section(
        "The model",
        with_option,
        ngrams_option("Draw from the model together with its n-grams.", "off"),
        option(
            "--unknown", type=click.Choice(["skip", "replace"]), default="replace", rare=True,
            help="What the model reads for characters that it does not know. They stay in the text.",
        ),
    ),
    section("General", threads_option, quiet_option),
    first=("temperature", "seed", "length"),
)  # fmt: skip
def write(work: Work) -> int | None:
    """Write a text together with the model in CHECKPOINT: its continuation stands in grey behind the cursor. Tab takes
    a word of it, the right arrow a character, up and down show others, F1 all keys.

    FILE is opened, or made by the first save. It is saved at the end, by Ctrl-S, every few seconds, and when a signal
    ends the program. Without FILE the text goes to standard output at the end.

    \b
    charrnn write fables story.txt
    charrnn write fables story.txt --cell 1:37 --temperature 0.5
    charrnn write fables --serve

    \f

    The screen needs the library prompt_toolkit. --serve needs nothing more; docs/WRITING.md has its requests. In a long
    text the model reads the 1,000 to 3,000 characters before the cursor.
    """
    options = work.options
    if options["serve"]:
        if options["file"] is not None:
            raise click.UsageError("--serve and FILE exclude each other: an editor sends its text.")
        _serve(work)
        return None
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        raise click.UsageError("standard input and output must be a terminal; --serve answers requests without one.")
    from charrnn.system.libraries import require

    require("prompt_toolkit", "the screen", "--serve works without it")
    return _on_screen(work)


def _is_terminal(stream: Any) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def _session(work: Work, text: str = ""):
    """A session with the options of the command."""
    from charrnn.writing.session import Session

    options = work.options
    work.load(compiled.writing, compiled.mixing_if_asked, others=options["others"])
    work.model = work.mixed(wanted=False) or work.model
    session = Session(
        work.model, text, choice=sampling.choice(options), seed=options["seed"] or 0, length=options["length"],
        unknown=options["unknown"],
    )  # fmt: skip
    (signal,) = options["signals"] or (None,)
    if options["cell"] is not None:
        session.show(options["cell"], signal)
    elif signal is not None:
        raise click.UsageError("--signal is what --cell shows: name a cell, too.")
    return session


def _serve(work: Work) -> None:
    """Answer requests until standard input ends."""
    from charrnn.writing.answers import LONGEST_LINE, Answers

    answers = Answers(_session(work))
    stream = getattr(sys.stdin, "buffer", None)
    while stream is not None and (line := stream.readline(LONGEST_LINE + 1)):
        rest = line
        while len(line) > LONGEST_LINE and rest and not rest.endswith(b"\n"):
            rest = stream.readline(_READ)
        if line.strip():
            work.terminal.json(answers.answer(line))


def _on_screen(work: Work) -> int:
    """Show the screen, and keep the text whatever ends it; the exit status."""
    from charrnn.system.folders import cache_folder
    from charrnn.writing.manuscript import Manuscript, Recovery

    file, recovery = work.options["file"], Recovery(cache_folder() / "drafts")
    manuscript = None if file is None else Manuscript(file)
    session = _session(work, manuscript.text if manuscript else "")
    if left := recovery.leftovers():
        more = f" and {len(left) - 1:,} more there" if len(left) > 1 else ""
        work.terminal.note(f"An earlier session was killed; its text is in {left[0]}{more}.")

    from charrnn.display.writing.screen import Screen

    notes = ""
    if len(session.draft.text) > session.most:
        notes = f"the model reads {session.least:,} to {session.most:,} characters before the cursor"
    screen = Screen(session, manuscript, recovery, work.terminal.depth, _names(work), notes)
    gently = signals.Gently(screen.stop, lambda: None)
    try:
        with gently:
            status = screen.run(gently.writing)
    finally:
        if gently.stopped or screen.is_lost:  # then the exit status is settled, whatever can still be written
            signals.received = gently.stopped or signals.SIGHUP
        _keep(work, session.draft.text, manuscript, recovery)
    return status


def _names(work: Work) -> dict[tuple[int, int], str]:
    """What cells track, in words, as far as ``inspect`` has found it."""
    from charrnn.display.reports.names import tracks
    from charrnn.inspection.naming_cache import NamingCache
    from charrnn.writing.states import has_cells

    if not has_cells(work.model) or work.options["ngrams"] == "on":
        return {}
    found = NamingCache(work.model, work.options["checkpoint"]).load(work.terminal.warn) or {}
    return {cell: tracks(each) for cell, each in found.items()}


def _keep(work: Work, text: str, manuscript, recovery) -> None:
    """Save the text, or write it to standard output."""
    from charrnn.errors import CharRNNError
    from charrnn.writing.manuscript import ChangedError

    if manuscript is None:
        if text:
            try:  # the terminal may be gone
                recovery.save(text)
            except CharRNNError as error:
                work.terminal.warn(str(error))
            work.write(text if text.endswith("\n") else f"{text}\n")
        recovery.discard()
        return
    try:
        if text == manuscript.text:
            return
        manuscript.save(text)
        work.terminal.note(f"{manuscript.path}: saved, {len(text):,} characters")
    except ChangedError as error:
        work.terminal.warn(f"{error}; this text is in {manuscript.save_beside(text)}")
    except CharRNNError as error:
        recovery.save(text)
        raise CharRNNError(f"{error}; the text is in {recovery.path}") from None
