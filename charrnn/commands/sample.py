"""``charrnn sample``: text from a model."""

from typing import Any

import click

from charrnn.commands import compiled, lines, masking, sampling
from charrnn.commands.help import option, section
from charrnn.commands.options import (
    checkpoint_argument,
    general_options,
    given,
    ngrams_option,
    unknown_option,
    with_option,
)
from charrnn.commands.types import Number, Whole
from charrnn.commands.work import Work, command, readable
from charrnn.errors import CharRNNError

_LONGEST_PRIME = 1_000_000  # bytes: the state depends on the last thousands of characters
_CONTINUATION = bytes(range(0x80, 0xC0))  # bytes of UTF-8 that no character begins with
_LONGEST_ECHO = 300  # characters of a prime that a terminal shows, the last ones
_CHUNK = 4096  # characters drawn at a time where nobody watches
_SECONDS_A_CHUNK = 0.05  # between two writes to a terminal: often enough to look like writing


def _temperatures(ctx: click.Context, param: click.Parameter, value: str | None) -> list[float] | None:
    if value is None:
        return None
    kind = Number(0)
    return [kind.convert(part.strip(), param, ctx) for part in value.split(",")]


@command(
    Work,
    checkpoint_argument,
    section(
        "What is written",
        option(
            "-n", "--length", type=Whole(1, 1_000_000_000), default=1000,
            help="Characters to write, not counting the prime.",
        ),
        option("--count", type=Whole(1, 100_000), default=1, help="Texts to write, in one batch."),
        option(
            "--lines", type=Whole(1, 100_000), metavar="N",
            help="Write N different lines and nothing else, for a list such as names; each begins with the prime.",
        ),
        option("--unlike", is_flag=True, help="--lines: leave out lines of the training text."),
        option(
            "--match", metavar="REGEX",
            help="Write only what matches this regular expression as a whole, within LENGTH characters.",
        ),
        option(
            "--without", metavar="CHARACTERS", default="", show_default=False,
            help=r"Leave these characters out; \n, \t as in --prime.",
        ),
        option("--stop", metavar="TEXT", help=r"End a text where TEXT would begin; \n, \t as in --prime."),
        option(
            "--compare", callback=_temperatures, metavar="T,T,…",
            help="Show several temperatures side by side, as in 0.3,0.7,1.0.",
        ),
        with_option,
        ngrams_option(
            "Draw from the model together with its n-grams. Below temperature 1 they copy the training text.", "off"
        ),
        option(
            "--prime-file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE",
            help=f"--prime from a file, or - for standard input: its last {_LONGEST_PRIME:,} bytes.",
        ),
        unknown_option,
    ),
    sampling.sampling_options("a new one"),
    general_options,
    first=("prime", "temperature", "length", "seed"),
)  # fmt: skip
def sample(work: Work) -> None:
    """Write text with the model in CHECKPOINT, a run's folder or a file.

    The text goes to standard output, exactly LENGTH characters of it; in a terminal it is streamed as it is written,
    after the prime.

    \b
    charrnn sample fables --temperature 0.7 --length 500
    charrnn sample fables --prime "The fox" --compare 0.3,0.7,1.0
    charrnn sample names --lines 20 --unlike --match "[A-Z][a-z]{3,7}"
    charrnn sample one --with two --with three

    \f

    --match takes the syntax of Python's regular expressions, without references, look-ahead and flags. The text ends
    where nothing may follow; where it may end, but a newline must not follow, the model's probability of a newline is
    that of the end. A line on stderr says how much of the model's probability was masked.

    --json writes an object for each text: number, seed, temperature, prime, text; with --match or --without also
    masked, the mean share of a choice's probability that was left out, and masked_bits, -log2 of what was permitted,
    summed over the choices.
    """
    from charrnn.system import memory

    options = work.options
    if options["prime_file"] is not None and options["prime"]:
        raise click.UsageError("--prime and --prime-file exclude each other.")
    if options["compare"] and options["count"] > 1:
        raise click.UsageError("--compare and --count exclude each other.")
    if options["compare"] and given(("temperature",)):
        raise click.UsageError("--compare has the temperatures: leave --temperature out.")
    if options["lines"] is not None and (options["compare"] or options["count"] > 1 or options["stop"]):
        raise click.UsageError("--lines is the number of texts and ends them: leave --compare, --count and --stop out.")
    if options["unlike"] and options["lines"] is None:
        raise click.UsageError("--unlike needs --lines.")
    masking.require_sense(options)
    if options["stop"] == "":
        raise click.UsageError("--stop needs a text that is not empty.")
    if options["lines"] is not None:
        memory.check_texts(lines.batch_of(options["lines"]), options["length"])
    elif options["as_json"] or options["compare"] or options["count"] > 1:
        memory.check_texts(max(options["count"], len(options["compare"] or ())), options["length"])
    work.load(compiled.writing, compiled.mixing_if_asked, others=options["others"])
    work.model = work.mixed(wanted=False) or work.model
    how = {
        "prime": _prime(work),
        "length": options["length"],
        "seed": sampling.seed_of(options),
        "stop": work.typed(sampling.unescaped(options["stop"] or "")) or None,
        "unknown": options["unknown"],
    }
    how["constraint"] = masking.constraint(work, how["prime"])
    if options["lines"] is not None:
        _list(work, how)
    elif options["count"] == 1 and not options["as_json"] and not options["compare"]:
        _stream(work, **how)
    else:
        _several(work, how)
    if options["seed"] is None:
        work.terminal.note(f"--seed {how['seed']} writes the same again")


def _several(work: Work, how: dict[str, Any]) -> None:
    """Write several texts, or one for each temperature; with --json also a single one."""
    options, model, tally, drawn = work.options, work.model, masking.Tally(), []
    for choice in [sampling.choice(options, each) for each in options["compare"] or [options["temperature"]]]:
        about = (how["seed"], how["unknown"], how["constraint"])
        sampler = model.sampler(how["prime"], options["count"], choice, *about)
        texts = model.texts(sampler, how["length"], how["stop"])
        drawn += [(choice, text, tally.add(sampler.masked, stream)) for stream, text in enumerate(texts)]
    if options["as_json"]:
        records = (_record(number, *each, how["seed"], how["prime"]) for number, each in enumerate(drawn))
        work.show(records, ())
    elif options["compare"]:
        _side_by_side(work, drawn, how["prime"])
    else:
        work.write(drawn[0][1])
        for _, text, _ in drawn[1:]:
            work.write("\n---\n")
            work.write(text)
        if work.terminal.stdout_is_terminal:
            work.write("\n")
    tally.tell(work)


def _list(work: Work, how: dict[str, Any]) -> None:
    """Write the lines of a list, each one when it is there."""
    options, prime, choice = work.options, how["prime"], sampling.choice(work.options)
    known = lines.lines_of(work) if options["unlike"] else frozenset()
    found = lines.Lines(work.model, choice, how, known, how["constraint"])
    end, written = b"\n" if work.model.vocabulary.is_bytes else "\n", 0
    for written, (line, masked) in enumerate(found.write(options["lines"]), 1):
        if options["as_json"]:
            work.terminal.json(_record(written - 1, choice, line, masked, how["seed"], prime))
        else:
            work.write(prime + line + end)
    if written < options["lines"]:
        others = ["empty", "there already"]
        others += ["longer than --length"] if options["match"] is None else []
        others += ["of the training text"] if options["unlike"] else []
        why = f"{', '.join(others[:-1])} or {others[-1]}"
        work.terminal.warn(f"{written:,} of {options['lines']:,} lines: nearly all others were {why}")
    found.tally.tell(work)


def _prime(work: Work) -> str | bytes:
    """The prime as the model reads text: str, or bytes."""
    file, prime, is_bytes = work.options["prime_file"], work.options["prime"], work.model.vocabulary.is_bytes
    if file is None:
        if any("\udc80" <= sign <= "\udcff" for sign in prime) and not is_bytes:
            raise CharRNNError("--prime is not UTF-8: the model has characters, not bytes")
        return work.typed(sampling.unescaped(prime))
    from charrnn.text.sources import Source

    source = Source.end_of(file, _LONGEST_PRIME)
    data, left_out = source.data, source.size - len(source.data)
    if left_out:
        work.terminal.note(f"{source.name}: the model reads the last {len(data):,} of {source.size:,} bytes")
    if is_bytes:
        return data
    if left_out:  # the cut may have gone through a character
        data = data.lstrip(_CONTINUATION)
    try:
        return data.decode("utf-8" if left_out else "utf-8-sig")
    except UnicodeDecodeError as error:
        offset = source.size - len(data) + error.start
        raise CharRNNError(
            f"{source.name}: byte 0x{data[error.start]:02X} at offset {offset} is not UTF-8; convert it first"
        ) from None


def _stream(work: Work, prime, length: int, seed: int, stop: str | bytes | None, unknown, constraint) -> None:
    """Write one text while it is drawn."""
    import time

    model, shown = work.model, work.terminal.stdout_is_terminal
    sampler = model.sampler(prime, 1, sampling.choice(work.options), seed, unknown, constraint)
    if shown and prime:
        work.write(prime[-_LONGEST_ECHO:], style="bold")
    until, written = _Until(stop), 0
    chunk = 1 if shown else _CHUNK
    while written < length and not until.reached and not sampler.ended:
        begun = time.perf_counter()
        drawn = sampler.draw(min(chunk, length - written))[:, 0]
        written += len(drawn)
        work.write(until.feed(model.written(drawn)))
        if shown and time.perf_counter() - begun < _SECONDS_A_CHUNK / 2:
            chunk = min(chunk * 2, 64)
    work.write(until.rest())
    if shown:
        work.write("\n")
    tally = masking.Tally()
    tally.add(sampler.masked, 0)
    tally.tell(work)


class _Until:
    """Passes text on up to the first ``stop``. It holds back an end that may be the beginning of ``stop``."""

    def __init__(self, stop: str | bytes | None):
        self._stop, self.reached = stop, False
        self._held = stop[:0] if stop else ""

    def feed(self, piece):
        """The text that can be written after ``piece`` has come."""
        if not self._stop:
            return piece
        text = self._held + piece
        place = text.find(self._stop)
        self.reached = place >= 0
        if self.reached:
            self._held = text[:0]
            return text[:place]
        most = min(len(self._stop) - 1, len(text))
        begun = next((size for size in range(most, 0, -1) if self._stop.startswith(text[-size:])), 0)
        self._held = text[len(text) - begun :]
        return text[: len(text) - begun]

    def rest(self):
        """The text held back, which is not the beginning of ``stop`` after all."""
        return self._held


def _record(number: int, choice, text: str | bytes, masked: dict, seed: int, prime: str | bytes) -> dict[str, Any]:
    """A text as a JSON object."""
    about = {"number": number, "seed": seed, "temperature": choice.temperature}
    return {**about, "prime": readable(prime), "text": readable(text), **masked}


def _side_by_side(work: Work, drawn: list[tuple], prime: str | bytes) -> None:
    """Show the same prime and seed at several temperatures."""
    from charrnn.display.terminal.columns import side_by_side

    titles = [f"temperature {choice.temperature:g}" for choice, _, _ in drawn]
    shown = [readable(prime) + readable(text) for _, text, _ in drawn]
    work.terminal.show(*side_by_side(titles, shown, work.terminal.width))
