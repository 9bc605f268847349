"""``charrnn compare``: several runs side by side."""

import string
from collections.abc import Iterator
from typing import Any

import click

from charrnn.commands import compiled, sampling
from charrnn.commands.help import option, section
from charrnn.commands.inspect.inspection import output_option
from charrnn.commands.options import general_options, unknown_option
from charrnn.commands.runs import run_record
from charrnn.commands.types import CheckpointPath, Whole
from charrnn.commands.work import Work, command, readable

_MARKS = string.ascii_lowercase
_AXES = ("minutes", "characters", "steps", "epochs")  # of charrnn.checkpoints.comparison, which imports NumPy
_SEED = 1


@command(
    Work,
    click.argument("runs", type=CheckpointPath(), nargs=-1, required=True, metavar="RUN..."),
    section(
        "The curves",
        option("--against", type=click.Choice(_AXES), default=_AXES[0], help="What losses are drawn against."),
        output_option(".svg", ".png", required=False),
    ),
    section(
        "The texts",
        option(
            "-n", "--length", type=Whole(0, 1_000_000), default=200,
            help="Characters that each model writes after the prime; 0 writes none.",
        ),
        unknown_option,
    ),
    sampling.sampling_options(str(_SEED)),
    general_options,
    first=("against", "output", "prime", "length", "temperature", "seed"),
)  # fmt: skip
def compare(work: Work) -> None:
    """Show runs side by side: sizes, losses, times, the settings that differ, the curves of their validation losses,
    and how each continues the same prime.

    A star marks the best loss, if the runs have the same text. RUN is a run's name, its folder or a file.

    \b
    charrnn train fables --cell lstm --name one
    charrnn train fables --cell capped-lstm --name two
    charrnn compare one two
    charrnn compare one two --against characters -o curves.svg

    \f

    Losses are best validation losses, in nats per character unless bits are named. Characters a second include the
    time of evaluations. A checkpoint has the characters of its last step only: those of earlier evaluations are in
    proportion to the steps.

    Under the curves are the best losses up to where the shortest run ends. A run that was planned longer has a higher
    learning rate there, which counts against it.

    --json writes an object for each run: all that `charrnn runs --json` does, and mark, text_sha256, best_bpc,
    best_step, characters_read, chars_per_s, settings (those that differ), obstacle (why losses cannot be compared:
    texts, parts, symbols, or ""), best and best_mixed (whether its loss is the best one, alone and with n-grams),
    history (step, epoch, elapsed_s, characters, loss, val_loss), shared (against, at, val_loss, best; or null), and,
    unless --length is 0, prime, seed, temperature and sample.
    """
    from charrnn.checkpoints import comparison
    from charrnn.checkpoints.runs import open_run
    from charrnn.system import memory

    options = work.options
    paths, against = options["runs"], options["against"]
    if len(paths) > len(_MARKS):
        raise click.UsageError(f"{len(paths)} runs: at most {len(_MARKS)} are shown side by side.")
    memory.check_texts(len(paths), options["length"])
    runs = [open_run(path) for path in paths]
    scored = [run.description for run in runs if run.description.counters.get("best_val_loss") is not None]
    obstacle = comparison.obstacle(scored)
    settings = comparison.differing_settings([run.description for run in runs])
    records = [_record(*each, obstacle) for each in zip(_MARKS, runs, settings, strict=False)]
    _name(records)
    curves = [comparison.curve(each["history"], against) for each in records]
    _mark_best(records, curves, against)
    if options["output"] is not None:
        _draw(work, records, curves)
    if options["length"]:
        _write(work, runs, records)
    work.show(records, _lines(work, records, curves, obstacle))


def _record(mark: str, run, settings: dict[str, Any], obstacle: str) -> dict[str, Any]:
    """A run as a JSON object, without what depends on the others."""
    from charrnn.checkpoints.comparison import evaluations
    from charrnn.records import bits

    found = run.description
    loss, characters, seconds = (found.counters.get(each) for each in ("best_val_loss", "characters", "elapsed_s"))
    return {"mark": mark} | run_record(run) | {
        "text_sha256": found.corpus.get("sha256"),
        "best_bpc": None if loss is None else bits(loss),
        "best_step": found.counters.get("best_step"),
        "characters_read": characters,
        "chars_per_s": characters / seconds if seconds else None,
        "settings": settings,
        "obstacle": obstacle,
        "history": evaluations(found),
    }  # fmt: skip


def _name(records: list[dict[str, Any]]) -> None:
    """Call runs that have one name by their paths."""
    names = [each["name"] for each in records]
    for each in records:
        if names.count(each["name"]) > 1:
            each["name"] = each["path"]


def _mark_best(records: list[dict[str, Any]], curves: list, against: str) -> None:
    """Say of each run whether its losses are the best: at the end, with n-grams, and as far as all runs have come."""
    from charrnn.checkpoints.comparison import best_until, shared_end

    def marked(losses: list[float | None]) -> list[bool]:
        known = [loss for loss in losses if loss is not None]
        is_comparable = len(known) > 1 and not records[0]["obstacle"]
        return [is_comparable and loss == min(known) for loss in losses]

    for name, of in (("best", "best_val_loss"), ("best_mixed", "mixed_val_loss")):
        for each, is_best in zip(records, marked([each[of] for each in records]), strict=True):
            each[name] = is_best
    end = shared_end(curves)
    losses = [None if end is None else best_until(curve, end) for curve in curves]
    for each, loss, is_best in zip(records, losses, marked(losses), strict=True):
        found = {"against": against, "at": end, "val_loss": loss, "best": is_best}
        each["shared"] = None if loss is None else found


def _draw(work: Work, records: list[dict[str, Any]], curves: list) -> None:
    """Write the curves to the file of ``-o``."""
    from charrnn.display.figures import save
    from charrnn.display.figures.curves import curves_figure
    from charrnn.display.reports.comparison import axis_label
    from charrnn.errors import ConfigError

    path, against = work.options["output"], work.options["against"]
    if not any(len(curve) for curve in curves):
        raise ConfigError(f"{path}: not written, no run has an evaluation to draw yet")
    save(curves_figure(records, curves, against, axis_label(against)), path)
    work.terminal.note(f"wrote {path}")


def _write(work: Work, runs: list, records: list[dict[str, Any]]) -> None:
    """Have each model continue the same prime; one model at a time is in memory."""
    from charrnn.errors import VocabularyError
    from charrnn.model import load
    from charrnn.network.network import Network

    options = work.options
    seed = _SEED if options["seed"] is None else options["seed"]
    prime, choice = sampling.unescaped(options["prime"]), sampling.choice(options)
    kernels = []
    for run in runs:
        found = run.description
        kernels += [*compiled.writing(options, found), *Network.kernels(found.model)[0]]
    work.announce_compilation()
    for path, record in zip(options["runs"], records, strict=True):
        how = {"threads": options["threads"], "warn": work.terminal.warn, "needs": lambda checkpoint: kernels}
        work.model = load(path, **how)
        read = work.typed(prime)
        try:
            (text,) = work.model.sample_many(1, read, options["length"], choice, seed, unknown=options["unknown"])
        except VocabularyError as error:
            raise VocabularyError(f"{record['name']}: --prime: {error}") from None
        record |= {"prime": readable(read), "seed": seed, "temperature": choice.temperature, "sample": readable(text)}


def _lines(work: Work, records: list[dict[str, Any]], curves: list, obstacle: str) -> Iterator:
    from charrnn.display.reports.comparison import curve_lines, run_table, sample_lines

    width = work.terminal.width
    yield from run_table(records, obstacle, width)
    yield ""
    yield from curve_lines(records, curves, work.options["against"], width)
    if work.options["length"]:
        yield ""
        yield from sample_lines(records, width)
