"""``charrnn sample``: text from a model."""

from pathlib import Path
from typing import Any

import click

from charrnn.commands import sampling
from charrnn.commands.help import Command, option, section
from charrnn.commands.options import checkpoint_argument, general_options, unknown_option, with_option
from charrnn.commands.types import Number, Whole
from charrnn.errors import CharRNNError

_CHUNK = 4096  # characters drawn at a time where nobody watches
_SECONDS_A_CHUNK = 0.05  # between two writes to a terminal: often enough to look like writing


def _temperatures(ctx: click.Context, param: click.Parameter, value: str | None) -> list[float] | None:
    if value is None:
        return None
    kind = Number(0)
    return [kind.convert(part.strip(), param, ctx) for part in value.split(",")]


@click.command(cls=Command)
@checkpoint_argument
@section(
    "What is written",
    option(
        "-n", "--length", type=Whole(1, 1_000_000_000), default=1000, show_default=True,
        help="Characters to write, not counting the prime.",
    ),
    option("--count", type=Whole(1, 100_000), default=1, show_default=True, help="Texts to write, in one batch."),
    option("--stop", metavar="TEXT", help="End a text where TEXT would begin."),
    option(
        "--compare", callback=_temperatures, metavar="T,T,…",
        help="Show several temperatures side by side, as in 0.3,0.7,1.0.",
    ),
    with_option,
    option("--prime-file", type=click.File("rb"), metavar="FILE", help="--prime from a file, or - for standard input."),
    unknown_option,
)  # fmt: skip
@sampling.sampling_options("a new one")
@general_options
def sample(checkpoint: Path, **options: Any) -> None:
    """Write text with the model in CHECKPOINT, a run's folder or a file.

    The text goes to standard output, exactly LENGTH characters of it; in a terminal it is streamed as it is written,
    after the prime.

    \b
    charrnn sample checkpoints/fables --temperature 0.7 --length 500
    charrnn sample checkpoints/fables --prime "The fox" --compare 0.3,0.7,1.0
    charrnn sample checkpoints/one --with checkpoints/two --with checkpoints/three

    \f

    --json writes an object for each text: number, seed, temperature, prime, text.
    """
    from charrnn.commands.loading import load_model
    from charrnn.display.terminal.console import Terminal
    from charrnn.system import memory

    terminal = Terminal(options["quiet"], options["as_json"])
    if options["prime_file"] is not None and options["prime"]:
        raise click.UsageError("--prime and --prime-file exclude each other.")
    if options["compare"] and options["count"] > 1:
        raise click.UsageError("--compare and --count exclude each other.")
    if options["stop"] == "":
        raise click.UsageError("--stop needs a text that is not empty.")
    if options["as_json"] or options["compare"] or options["count"] > 1:
        memory.check_texts(max(options["count"], len(options["compare"] or ())), options["length"])
    model = load_model(checkpoint, options["threads"], terminal, options["others"])
    if options["seed"] is None:
        import secrets

        options["seed"] = secrets.randbelow(2**31)
    options["prime"] = _prime(options, model)
    choices = [sampling.choice(options, each) for each in options["compare"] or [options["temperature"]]]
    stop = options["stop"]
    options["stop"] = stop.encode() if stop and model.vocabulary.is_bytes else stop
    if len(choices) > 1 or options["compare"]:
        _compare(terminal, model, choices, options)
    elif options["count"] == 1 and not options["as_json"]:
        _stream(terminal, model, choices[0], options)
    else:
        _batch(terminal, model, choices[0], options)


def _prime(options: dict[str, Any], model) -> str | bytes:
    """The prime as the model reads text: str, or bytes."""
    if options["prime_file"] is not None:
        data = options["prime_file"].read()
        if model.vocabulary.is_bytes:
            return data
        try:
            prime = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise CharRNNError(
                f"{options['prime_file'].name}: byte 0x{data[error.start]:02X} at offset {error.start} is not UTF-8; "
                "convert it first"
            ) from None
    else:
        prime = options["prime"]
        if any("\udc80" <= sign <= "\udcff" for sign in prime) and not model.vocabulary.is_bytes:
            raise CharRNNError("--prime is not UTF-8: the model has characters, not bytes")
    return prime.encode("utf-8", "surrogateescape") if model.vocabulary.is_bytes else prime


def _stream(terminal, model, choice, options: dict[str, Any]) -> None:
    """Write one text while it is drawn."""
    import time

    shown = terminal.stdout_is_terminal
    prime, length = options["prime"], options["length"]
    sampler = model.sampler(prime, 1, choice, options["seed"], options["unknown"])

    def write(piece: str | bytes, **style: str) -> None:
        if isinstance(piece, bytes):
            terminal.write_bytes(piece)
        else:
            terminal.write(piece, **style)

    if shown and prime:
        write(prime, style="bold")
    until, written = _Until(options["stop"]), 0
    chunk = 1 if shown else _CHUNK
    while written < length and not until.reached:
        begun = time.perf_counter()
        drawn = sampler.draw(min(chunk, length - written))[:, 0]
        written += len(drawn)
        write(until.feed(model.vocabulary.decode(drawn)))
        if shown and time.perf_counter() - begun < _SECONDS_A_CHUNK / 2:
            chunk = min(chunk * 2, 64)
    write(until.rest())
    if shown:
        terminal.write("\n")


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


def _texts(model, choice, options: dict[str, Any], count: int) -> list[str | bytes]:
    """Whole texts, drawn in one batch and cut at --stop."""
    of_options = {name: options[name] for name in ("prime", "length", "seed", "stop", "unknown")}
    return model.sample_many(count, choice=choice, **of_options)


def _readable(text: str | bytes) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text


def _batch(terminal, model, choice, options: dict[str, Any]) -> None:
    """Write several texts, or one as JSON."""
    for number, text in enumerate(_texts(model, choice, options, options["count"])):
        if options["as_json"]:
            _write_json(terminal, options, choice, number, text)
            continue
        if number:
            terminal.write("\n---\n")
        if isinstance(text, bytes):
            terminal.write_bytes(text)
        else:
            terminal.write(text)
    if not options["as_json"] and terminal.stdout_is_terminal:
        terminal.write("\n")


def _write_json(terminal, options, choice, number, text) -> None:
    terminal.json(
        {
            "number": number,
            "seed": options["seed"],
            "temperature": choice.temperature,
            "prime": _readable(options["prime"]),
            "text": _readable(text),
        }
    )


def _compare(terminal, model, choices, options: dict[str, Any]) -> None:
    """Show the same prime and seed at several temperatures."""
    from charrnn.display.terminal.columns import side_by_side

    texts = [_texts(model, choice, options, 1)[0] for choice in choices]
    if options["as_json"]:
        for number, (choice, text) in enumerate(zip(choices, texts, strict=True)):
            _write_json(terminal, options, choice, number, text)
        return
    titles = [f"temperature {choice.temperature:g}" for choice in choices]
    shown = [_readable(options["prime"]) + _readable(text) for text in texts]
    terminal.show(*side_by_side(titles, shown, terminal.width))
