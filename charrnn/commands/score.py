"""``charrnn score``: how unusual each line of a text is."""

import contextlib
import heapq
import itertools
import select
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from charrnn.commands import compiled
from charrnn.commands.help import option, section
from charrnn.commands.input_files import STREAM, files_argument, input_names, require_no_terminal, shown
from charrnn.commands.options import (
    checkpoint_argument,
    encoding_option,
    general_options,
    ngrams_option,
    online_config,
    online_options,
    with_option,
)
from charrnn.commands.types import Number, Whole
from charrnn.commands.work import Work, command
from charrnn.config import LineLearningConfig
from charrnn.errors import CharRNNError, CorpusError
from charrnn.records import no_progress

SHOWN_BEFORE = 10  # lines at the end of a file with which -f begins, as tail -f does
MEASURES = {"bits": "bits", "rate": "bits_per_character", "peak": "peak", "words": "words", "z": "z"}
_MEMORY_SHARE = 1 / 4  # of the machine's memory, that --sort may take, and --both-ways as much
_A_LINE = 700  # bytes that a line takes in the memory beside its characters, about
_A_CHARACTER = 60  # bytes that a character takes while it is read --both-ways, about
_AT_ONCE = 512  # lines that are written at a time, off a terminal
_LEARNT_AT_ONCE = 4096  # characters that are scored at a time while the model learns, which takes a second or two


class LineScoring(Work):
    """Lines and their scores."""

    @property
    def names(self) -> tuple[str, ...]:
        """The files to read."""
        return input_names(self.options)

    @property
    def has_guesses(self) -> bool:
        """Whether lines get guess numbers."""
        return self.options["guesses"] or self.options["drawn"] is not None

    def check(self) -> LineLearningConfig | None:
        """How the model learns, if it does.

        Raises:
            UsageError: options contradict each other.
        """
        options = self.options
        online: LineLearningConfig | None = online_config(
            LineLearningConfig, options, options["learn"] or options["both_ways"]
        )
        learn = "--both-ways" if options["both_ways"] else "--learn"
        if online is not None and options["others"]:
            raise click.UsageError(f"{learn} teaches one model: leave --with out.")
        if online is not None and (options["alone"] or self.has_guesses):
            alone = "--alone" if options["alone"] else "--guesses"
            raise click.UsageError(f"{learn} reads lines in their order: leave {alone} out.")
        if options["follow"]:
            if len(self.names) > 1:
                raise click.UsageError(f"-f follows one file, and {len(self.names)} are given.")
            if options["top"] or options["sort"] or options["both_ways"]:
                name = "--top" if options["top"] else "--sort" if options["sort"] else "--both-ways"
                raise click.UsageError(f"{name} needs the end of the text, which -f never sees: leave one of them out.")
        if options["top"] and options["sort"]:
            raise click.UsageError("--top sorts its lines in any case: leave --sort out.")
        if options["seed"] is not None and not self.has_guesses:
            raise click.UsageError("--seed needs --guesses.")
        if options["characters"] and not options["as_json"]:
            raise click.UsageError("--characters needs --json; on a terminal each character has a colour.")
        input_names(options)
        return online

    def open(self, online: LineLearningConfig | None) -> None:
        """Load the model, and get ready to score."""
        from charrnn.inference.word_peaks import WordPeaks
        from charrnn.model.line_scores import LineScorer
        from charrnn.text.decoding import check_encoding

        options = self.options
        needs = [compiled.mixing, *([compiled.learning_on] if online else [])]
        if self.has_guesses:
            needs.append(compiled.writing)
        self.load(*needs, others=options["others"])
        vocabulary = self.model.vocabulary
        encoding = options["encoding"] or self.model.checkpoint.corpus.get("encoding", "utf-8")
        self.codec = None if vocabulary.is_bytes else check_encoding(encoding)
        self.drops_cr = (13 if vocabulary.is_bytes else "\r") not in vocabulary
        is_learnt = self._is_learnt()
        if is_learnt and len(self.names) > 1 and options["ngrams"] is None and self.model.checkpoint.ngrams:
            self.terminal.note("N-grams take no part: they have learnt one of the files. With --ngrams on they do.")
        self.model = self.mixed(wanted=not is_learnt) or self.model
        self._learns = online is not None
        alone = options["alone"] or self.has_guesses
        how = "alone" if alone else "as they come" if options["follow"] else "in order"
        self.scorer = LineScorer(self.model, how, options["window"])
        if options["by"] == "words":
            self.scorer.words = WordPeaks()

    def _is_learnt(self) -> bool:
        """Whether one of the files is the text that the model, and so its n-grams, was trained on."""
        from charrnn.text.provenance import is_text

        facts = self.model.checkpoint.corpus
        return bool(facts) and any(name != STREAM and is_text(name, facts) for name in self.names)

    # ---- reading

    def records(self, online: LineLearningConfig | None) -> Iterator[tuple[dict[str, Any], Any]]:
        """An object for each line, and its score.

        A file that cannot be read is said, and the others are read. Then the last error is raised.
        """
        options, last = self.options, None
        read = self._follow if options["follow"] else self._whole_file if options["both_ways"] else self._file
        with self.scorer.learning(online, options["both_ways"]) if online else contextlib.nullcontext():
            for number, name in enumerate(self.names):
                if number:
                    self.scorer.begin()
                try:
                    yield from read(name)
                except CorpusError as error:
                    if last is not None:
                        self.terminal.error(str(last))
                    last = error.with_traceback(None)  # which would keep the lines read so far
        if last is not None:
            raise last

    def _file(self, name: str) -> Iterator[tuple[dict[str, Any], Any]]:
        """The lines of a file, scored block by block."""
        from charrnn.model.line_scores import BLOCK
        from charrnn.text.lines import blocks, opened

        at_once = _LEARNT_AT_ONCE if self._learns else BLOCK
        with opened(name) as (file, size), self._progress(name, size) as report:
            require_no_terminal(file)
            cutter, lines, held, done = self._cutter(name), [], 0, 0
            for data in itertools.chain(blocks(file, shown(name)), [b""]):
                found = cutter.feed(data, final=not data)
                for number, line in enumerate(found, 1):
                    lines.append(line)
                    held += len(line.text) + 1
                    if held >= at_once:
                        yield from self._scored(name, lines)
                        lines, held = [], 0
                        report(done + len(data) * number // len(found), size or 0)
                done += len(data)
                report(done, size or 0)
            yield from self._scored(name, lines)

    def _whole_file(self, name: str) -> Iterator[tuple[dict[str, Any], Any]]:
        """The lines of a file, all of which are read before any is scored."""
        from charrnn.text.lines import blocks, opened

        with opened(name) as (file, _), self.bar(f"Scoring {shown(name)}") as report:
            require_no_terminal(file)
            cutter, lines, taken = self._cutter(name), [], 0
            for data in itertools.chain(blocks(file, shown(name)), [b""]):
                found = cutter.feed(data, final=not data)
                lines += found
                taken += sum(_A_LINE + _A_CHARACTER * len(line.text) for line in found)
                if taken > _most_memory():
                    raise CorpusError(
                        f"{shown(name)}: --both-ways keeps all lines, and {_too_much(len(lines), taken)}: "
                        "score it with --learn, or in parts"
                    )
            scores = self._scores(lines, report)
        yield from self._pairs(name, lines, scores)

    def _follow(self, name: str) -> Iterator[tuple[dict[str, Any], Any]]:
        """The lines of a file as it grows."""
        from charrnn.inference.robust_z import COUNT
        from charrnn.text.growing_file import Change, Following
        from charrnn.text.lines import blocks, opened

        if name == STREAM:
            with opened(name) as (file, _):
                require_no_terminal(file)
                cutter = self._cutter(name)
                for data in itertools.chain(blocks(file, shown(name)), [b""]):
                    yield from self._scored(name, cutter.feed(data, final=not data))
            return
        with contextlib.closing(Following(name, self.codec, COUNT)) as file:
            cutter, before = self._cutter(name, file.first), []
            caught_up = not file.grows
            for found in itertools.chain(file.blocks(), [b""]):
                if not isinstance(found, Change):
                    lines = self._scored(name, cutter.feed(found, final=not found))
                    if caught_up:
                        yield from lines
                    else:
                        before = [*before, *lines][-SHOWN_BEFORE:]
                    continue
                if not caught_up:
                    caught_up = True
                    yield from before
                if found is Change.IDLE:
                    self.terminal.out.file.flush()
                    _require_reader(self.terminal.out.file)
                    continue
                yield from self._scored(name, cutter.feed(b"", final=True))
                self.terminal.note(f"{name} {found.value}")
                self.scorer.begin()
                cutter = self._cutter(name)

    def _cutter(self, name: str, first: int = 1):
        from charrnn.text.lines import LineCutter

        return LineCutter(self.codec, self.drops_cr, first, shown(name))

    def _scored(self, name: str, lines: list) -> Iterator[tuple[dict[str, Any], Any]]:
        yield from self._pairs(name, lines, self._scores(lines))

    def _scores(self, lines: list, progress=no_progress) -> list:
        ended = [line.is_ended for line in lines]
        return self.scorer.score([line.text for line in lines], None if all(ended) else ended, progress)

    def _pairs(self, name: str, lines: list, scores: list) -> Iterator[tuple[dict[str, Any], Any]]:
        for line, score in zip(lines, scores, strict=True):
            yield {"file": name, "line": line.number, **self._record(score)}, score

    def _record(self, score) -> dict[str, Any]:
        record = {
            "text": _readable(score.text),
            "bits": score.bits,
            "bits_per_character": score.bits_per_character,
            "peak": score.peak,
            "z": score.z,
            "characters": score.characters,
            "unknown": score.unknown,
        }
        if score.words is not None:
            record["words"] = score.words
        if score.guesses is not None:
            count, log2 = score.guesses.count, score.guesses.log2
            record |= {"guesses": count, "guesses_log2": log2, "guesses_error": score.guesses.error}
        if self.options["characters"]:
            record["character_bits"] = [round(each, 3) for each in score.character_bits.tolist()]
        return record

    # ---- choosing and writing

    def chosen(self, records) -> Iterator[tuple[dict[str, Any], Any]]:
        """The records that are wanted, in the order that is wanted."""
        options = self.options
        name, above, top = MEASURES[options["by"]], options["above"], options["top"]
        if above is not None:
            records = (pair for pair in records if (pair[0][name] or 0.0) > above)
        if top:
            kept = ((record, score.kept()) for record, score in records)
            yield from heapq.nlargest(top, kept, key=lambda pair: _rank(pair[0][name]))
        elif options["sort"]:
            yield from self._sorted(records, name)
        else:
            yield from records

    def _sorted(self, records, name: str) -> list:
        """All records, the largest first."""
        most, taken, found = _most_memory(), 0, []
        for record, score in records:
            found.append((record, score.kept()))
            taken += _A_LINE + 9 * len(record["text"])
            if taken > most:
                raise CorpusError(
                    f"--sort keeps all lines, and {_too_much(len(found), taken)}: "
                    "use --top N, or choose fewer with --above"
                )
        return sorted(found, key=lambda pair: -_rank(pair[0][name]))

    def write_all(self, records) -> None:
        """Write the records as JSON, as coloured lines, or as plain lines."""
        terminal = self.terminal
        if terminal.wants_json:
            for record, _ in records:
                terminal.json(record)
        elif terminal.stdout_is_terminal or terminal.depth:
            self._show(records)
        else:
            self._write_plain(records)

    def _show(self, records) -> None:
        from charrnn.display.reports.line_scores import coloured_line, columns, heading

        terminal, has_heading = self.terminal, False
        for record, score in records:
            if not has_heading:
                terminal.show(heading(record, len(self.names) > 1))
                has_heading = True
            text, bits = characters_of(score, self.model.vocabulary)
            terminal.show(*coloured_line(columns(_finite(record), self._place(record)), text, bits, terminal.look()))

    def _write_plain(self, records) -> None:
        """Write numbers and the line as it is: many lines at a time, or each at once if lines come slowly."""
        from charrnn.display.reports.line_scores import columns

        size, lines = 1 if self.options["follow"] or self._learns else _AT_ONCE, []
        try:
            for record, score in records:
                numbers = f"{columns(_finite(record), self._place(record))}  "
                is_bytes = isinstance(score.text, bytes)
                lines.append(numbers.encode() + score.text + b"\n" if is_bytes else f"{numbers}{score.text}\n")
                if len(lines) == size:
                    self._write_lines(lines)
                    lines = []
        except CharRNNError:  # of another file
            self._write_lines(lines)
            raise
        self._write_lines(lines)

    def _write_lines(self, lines: list) -> None:
        if lines and isinstance(lines[0], bytes):
            self.terminal.write_bytes(b"".join(lines))
        elif lines:
            self.terminal.write("".join(lines))

    def _place(self, record: dict[str, Any]) -> str:
        """Where a line is: its number, behind the name of its file if there are several."""
        from charrnn.sanitise import visible

        number = str(record["line"])
        return f"{visible(record['file'], '')}:{number}" if len(self.names) > 1 else number

    def _progress(self, name: str, size: int | None) -> contextlib.AbstractContextManager[Callable[[int, int], None]]:
        """A bar while lines do not appear on the terminal."""
        quiet = self.terminal.stdout_is_terminal and not (self.options["top"] or self.options["sort"])
        return contextlib.nullcontext(no_progress) if quiet or not size else self.bar(f"Scoring {shown(name)}")


def _most_memory() -> float:
    """Bytes that the lines which an option keeps may take."""
    from charrnn.system import memory

    return (memory.installed() or 8 << 30) * _MEMORY_SHARE


def _too_much(lines: int, taken: int) -> str:
    return f"{lines:,} take {taken / 1e9:.1f} GB, a quarter of this machine's memory"


def _rank(value: float | None) -> float:
    """A measure to sort by: a z that is not there comes last."""
    return float("-inf") if value is None else value


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """The record with None for an infinite number of guesses."""
    if record.get("guesses_log2") == float("inf"):
        return record | {"guesses_log2": None}
    return record


def _readable(text: str | bytes) -> str:
    return text.decode("utf-8", "surrogateescape") if isinstance(text, bytes) else text


def characters_of(score, vocabulary) -> tuple[str, Any]:
    """The text of a score as characters, with its line end if it counts, and the bits of each character.

    The bits of a character of several bytes are those of all its bytes.
    """
    import numpy as np

    bits, text = score.character_bits, _readable(score.text)
    if len(bits) > len(score.text):
        text += "\n"
    if vocabulary.is_bytes and not text.isascii():
        sizes = [len(character.encode("utf-8", "surrogateescape")) for character in text]
        bits = np.add.reduceat(bits, np.cumsum([0, *sizes[:-1]]))
    return text, bits


def _require_reader(stream) -> None:
    """Raise BrokenPipeError if standard output is a pipe whose reader has gone: no line may come for long."""
    try:
        handle = stream.fileno()
    except (OSError, ValueError, AttributeError):
        return
    if hasattr(select, "poll") and handle == sys.__stdout__.fileno():
        poll = select.poll()
        poll.register(handle, 0)  # only errors
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise BrokenPipeError


@command(
    LineScoring,
    checkpoint_argument,
    files_argument,
    section(
        "How lines are read",
        option("--alone", is_flag=True, help="Read each line for itself: for names, passwords, shuffled lists."),
        option(
            "-f", "--follow", is_flag=True,
            help="Follow a file that grows, as tail -f does, also when it is cut off or replaced.",
        ),
        option("--learn", is_flag=True, help="Have the model learn each line after it is scored. Best for logs; slow."),
        option(
            "--both-ways", is_flag=True,
            help="--learn: read the lines from the last to the first, too, so that what comes again later is less odd.",
        ),
        with_option,
        ngrams_option(
            "Score with the model and its n-grams together.", "on, but for the text that the n-grams have learnt"
        ),
        *online_options(
            LineLearningConfig, "--learn", "the fewest characters that an update learns from", "each update"
        ),
        encoding_option,
    ),
    section(
        "What is shown",
        option("--top", type=Whole(1, 1_000_000), help="Only the N most unusual lines, the most unusual first."),
        option("--above", type=Number(0), metavar="NUMBER", help="Only lines with more bits, or of what --by names."),
        option("--sort", is_flag=True, help="All lines, the most unusual first."),
        option(
            "--by", type=click.Choice(tuple(MEASURES)), default="peak",
            help="What --top, --above and --sort go by: a line's bits, its bits per character (rate), the bits of its "
            "least expected character (peak), how surprising its words are, compared with earlier words in the same "
            "place (words; for logs), or z.",
        ),
        option("--guesses", is_flag=True, help="Tell how many lines are likelier, as for passwords; reads --alone."),
        option(
            "--samples", "drawn", type=Whole(1, 10_000_000), rare=True,
            help="--guesses: lines that are drawn from the model.  [default: 10000]",
        ),
        option(
            "--seed", type=Whole(0, 2**63 - 1), rare=True,
            help="--guesses: the same seed gives the same result.  [default: 0]",
        ),
        option("--window", type=Whole(20, 1_000_000), default=1000, rare=True, help="Lines before, of which z tells."),
        option("--characters", is_flag=True, rare=True, help="--json: add the bits of each character."),
    ),
    general_options,
)  # fmt: skip
def score(work: LineScoring) -> None:
    """Tell for each line of FILEs how unusual it is to the model in CHECKPOINT: a line of output for each line.

    The columns are its bits (-log2 of its probability), bits per character, the bits of its least expected character,
    and z: how far its bits per character are from those of the 1,000 lines before. On a terminal each character
    has the colour of its surprise. Without FILE, standard input is read.

    \b
    charrnn score syslog /var/log/syslog --both-ways --by words --top 20
    charrnn score syslog -f /var/log/syslog --learn --above 12
    charrnn score passwords guessed.txt --guesses

    \f

    z is (x - median) / (1.4826 MAD), with the median and the median absolute deviation of up to --window lines before;
    there is none for the first 20. A character that the model does not know counts 20 bits.

    --by words is for logs; it adds a column. A word's peak is the bits of its least expected character. The usual peak
    is the mean over earlier words that had the same word before them, or the same word two places before; the mean of
    all words counts as three words more. A line's number is the root of the sum of (peak / (usual + 3))² over its
    words; a character that the model does not know counts as one more word, whose usual peak is 0. The words of all
    FILEs count.

    --both-ways reads each FILE twice before it shows any of its lines, and learns each time: from the last line to the
    first, and then in order. The probability of a character is the mean of its two probabilities. n-grams that know
    the training text learn the FILE in the second reading only.

    --json writes an object for each line: file, line (its number), text, bits, bits_per_character, peak, z (or null),
    characters, unknown (characters that the model does not know); with --by words: words; with --guesses: guesses,
    guesses_log2 and guesses_error (the standard error as a share), null where they are infinite; with --characters:
    character_bits, the last one of the line end.
    """
    from charrnn.inference.guess_numbers import SAMPLES

    online = work.check()
    work.open(online)
    if work.has_guesses:
        with work.bar("Drawing lines") as progress:
            work.scorer.draw_guesses(work.options["drawn"] or SAMPLES, work.options["seed"] or 0, progress)
    work.write_all(work.chosen(work.records(online)))
