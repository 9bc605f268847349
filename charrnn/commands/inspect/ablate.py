"""``charrnn inspect ablate``: what the model loses, and what it writes, while a cell is clamped to a value."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from charrnn.commands import compiled
from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import cell_option, head_option, name
from charrnn.commands.inspect.hypothesis import PATTERNS, hypothesis_options
from charrnn.commands.inspect.inspection import Inspection, inspecting
from charrnn.commands.inspect.naming import names_option
from charrnn.commands.sampling import choice, prime_ids, sampling_options
from charrnn.commands.types import Whole
from charrnn.commands.work import picked

_TEXT = 500  # characters of a sample
_SYMBOLS, _COUNTED = 8, 2  # characters in the table of losses, and counted in the samples


class _ClampedTo(click.ParamType):
    """The value that cells are clamped to: zero, mean, or a number."""

    name = "value"

    def convert(self, value, param, ctx) -> float | str:
        """``mean`` or the number."""
        if value == "mean":
            return value
        try:
            number = 0.0 if value == "zero" else float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{value!r} is not zero, mean or a finite number.", param, ctx)
        return number


@inspecting(
    section(
        "What is clamped",
        cell_option("The cell to clamp, or several as in 1:37,0:4."),
        head_option("Silence this head of a Transformer instead, or several."),
        option(
            "--at", type=_ClampedTo(), default="zero", metavar="zero|mean|X",
            help="What the cells are clamped to: zero, each cell's mean over the text, or a number.",
        ),
        option(
            "--others", type=Whole(0, 1000), default=20,
            help="Random other cells of the layer, or other heads, to compare with, on up to 100,000 characters.",
        ),
        option("--samples", type=Whole(0, 10_000), default=32, help="Texts to write so; 0 for none."),
        names_option,
    ),
    hypothesis_options(
        "Inside and outside",
        "Measure the loss inside and outside of this:",
        f" For heads also where there is such a character: {PATTERNS}.",
    ),
    sampling_options("0", temperature=1.0),
)  # fmt: skip
def ablate(work: Inspection) -> None:
    """Clamp cells of the model in CHECKPOINT to a value while it reads TEXT, or silence heads, and measure what is
    lost, and where; then have it write so. This shows what the model uses a cell or a head for.

    \b
    charrnn inspect ablate fables --cell 1:37 --track quotes
    charrnn inspect ablate fables --cell 1:37,0:4 --at mean --samples 0
    charrnn inspect ablate fables --head 0:3 --track induction

    \f

    --json writes an object with record "ablation": held, characters, text_characters, inside, share_inside, loss,
    change (overall, inside, outside, contrast), block, mean_inside, mean_outside, others, compared, rank, symbols,
    tracks (by cell: hypothesis, measure, value, or null); and one with record "samples" for each way to write: cells,
    held, seed, prime, characters, share_inside, runs_per_1000, run_length, per_1000, text. With --head the first has
    heads, and its held and means are empty.
    """
    from charrnn.display.reports.ablation import ablation_lines, sample_lines
    from charrnn.inspection.ablation import ablate as measure
    from charrnn.inspection.ablation import ablate_heads

    options = work.options
    heads = options["head"]
    if bool(options["cell"]) == bool(heads):
        raise click.UsageError("Give either --cell, which is clamped, or --head, which is silenced.")
    if heads and options["at"] != 0:
        raise click.UsageError("--at is for cells: a head is silenced.")
    model, ids = work.open(compiled.writing_samples)
    if heads:
        work.require_heads()
    hypothesis = _hypothesis(work)
    mask = None if hypothesis is None else _mask(work, hypothesis)
    seed = options["seed"] or 0  # a proof can be repeated
    how = {"controls": options["others"], "seed": seed}
    with work.bar("Silencing heads" if heads else "Clamping cells") as progress:
        if heads:
            found = ablate_heads(model.network, ids, heads, mask, **how, progress=progress)
        else:
            found = measure(model.network, ids, options["cell"], options["at"], mask, **how, progress=progress)
    about, signal, width = _record(work, found, hypothesis), model.network.cell.clamped, work.terminal.width
    work.show([about], ablation_lines(about, signal, _SYMBOLS, width))
    if options["samples"]:
        with work.bar("Writing") as progress:
            samples = list(_samples(work, found, hypothesis, seed, progress))
        work.show(samples, ["", *sample_lines(samples, signal, width)])


def _hypothesis(work: Inspection):
    """The hypothesis that was asked for, or None; of a pattern of attention, where it names a character."""
    from charrnn.inspection.heads import require_attention

    wish = work.options["hypothesis"]
    if wish is None or len(wish.patterns) != 1:
        return wish and wish.hypothesis(len(work.ids))
    (pattern,) = wish.patterns
    work.require_attention()
    if pattern.distance is not None:
        work.terminal.note(f"{pattern.name} is everywhere: nothing to compare")
        return None
    return pattern.applies(require_attention(work.model.network)[2])


def _mask(work: Inspection, hypothesis):
    """Where the hypothesis holds (N,). A hypothesis with numbers holds where they are above their median."""
    import numpy as np

    from charrnn.inspection.hypotheses import label_text
    from charrnn.inspection.passage import EncodedText

    found = label_text(EncodedText(work.model.vocabulary, work.ids), hypothesis)
    if found.dtype != bool:
        middle = float(np.median(found))
        work.terminal.note(f"inside is where {hypothesis.name} is above its median, {middle:g}")
        found = found > middle
    if not 0 < np.count_nonzero(found[:-1]) < len(found) - 1:
        where = "everywhere" if found.any() else "nowhere"
        work.terminal.warn(f"{hypothesis.name} holds {where}: nothing to compare")
    return found


def _samples(work: Inspection, found, hypothesis, seed: int, progress):
    """Records of texts written with the cells free, then off and on as the mask says, or else clamped as before."""
    from charrnn.inspection.generation import write_clamped

    options, symbols = work.options, work.symbols
    # A written text can be asked a yes-or-no question. A --mask is about the text that was read.
    can_ask = hypothesis is not None and hypothesis.is_mask and options["hypothesis"].option != "--mask"
    settings: dict[str, Mapping] = {"free": {}}
    heads = options["head"]
    if heads:
        settings["silenced"] = {}
    elif found.masked:
        settings |= {"off": found.mean_outside, "on": found.mean_inside}
    else:
        settings["held"] = found.values
    counted = [each.id for each in found.symbols if each.inside == found.masked][:_COUNTED]
    prime, how = prime_ids(work), {"texts": options["samples"], "length": _TEXT, "choice": choice(options)}
    how |= {"seed": seed, "hypothesis": hypothesis if can_ask else None}
    for number, (title, held) in enumerate(settings.items()):

        def report(done: int, all_of_it: int, before: int = number) -> None:
            progress(before * all_of_it + done, len(settings) * all_of_it)

        silenced = heads if title == "silenced" else ()
        written = write_clamped(work.model, held, prime, **how, silenced=silenced, progress=report)
        yield {
            "record": "samples",
            "cells": title,
            "held": _named(held),
            "seed": seed,
            "prime": options["prime"],
            "characters": written.ids.size,
            **picked(written, "share_inside", "runs_per_1000", "run_length"),
            "per_1000": {symbols[index]: written.rate(index) for index in counted},
            "text": "".join(symbols[index] for index in written.ids[0]),
        }


def _named(values: Mapping) -> dict[str, float]:
    """Values of cells by the cells' names."""
    return {name(cell): value for cell, value in values.items()}


def _record(work: Inspection, found, hypothesis) -> dict[str, Any]:
    """All of an ablation but the samples, as a JSON object."""
    symbols, effect, heads = work.symbols, ("overall", "contrast"), work.options["head"]
    kind = "heads" if heads else "cells"
    return {
        "record": "ablation",
        **({"heads": list(map(name, heads))} if heads else {}),
        "held": {} if heads else _named(found.values),
        **picked(found, "characters", "text_characters"),
        "inside": hypothesis and hypothesis.summary,
        "share_inside": found.share,
        "loss": found.loss,
        "change": {part: asdict(getattr(found, part)) for part in ("overall", "inside", "outside", "contrast")},
        "block": found.block,
        "mean_inside": _named(found.mean_inside),
        "mean_outside": _named(found.mean_outside),
        "others": [{kind: list(map(name, each.cells)), **picked(each, *effect)} for each in found.controls],
        "compared": {"characters": found.compared_characters, **picked(found.compared, *effect)},
        "rank": found.rank if found.controls else None,
        "symbols": [
            {"symbol": symbols[each.id], **picked(each, "inside", "count", "before", "after")} for each in found.symbols
        ],
        "tracks": {} if heads else {name(cell): work.tracks(cell) for cell in found.values},
    }
