"""Proof by intervention: what the model loses, and how it writes, when a cell is held."""

import math
from typing import Any

import click

from charrnn.commands.inspect import sampling_options
from charrnn.commands.inspect.cell_names import Cells, name
from charrnn.commands.options import Whole

_TEXT = 500  # characters of a sample
_SYMBOLS, _COUNTED = 8, 2  # characters in the table of losses, and counted in the samples


class _Held(click.ParamType):
    """zero, mean, or a number."""

    name = "held"

    def get_metavar(self, param, ctx):
        """What stands for the value in a help."""
        return "zero|mean|X"

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


TITLE = "Proof: cells held at a value"
OPTIONS = (
    click.option(
        "--ablate", type=Cells(),
        help="Hold this cell, or several as in 1:37,0:4, and measure what is lost; inside and outside of what "
        "--find NAME, --where or --mask says.",
    ),
    click.option(
        "--clamp", type=_Held(), default="zero", show_default=True,
        help="What c is held at: zero, the cell's mean over what is read, or a number.",
    ),
    click.option("--others", type=Whole(0, 1000), default=20, show_default=True,
                 help="Random other cells of the layer to compare the cell with, on up to 100,000 characters."),
    click.option("--samples", type=Whole(0, 10_000), default=32, show_default=True,
                 help="Texts to write with the cell held; 0 for none."),
)  # fmt: skip
OWN, FOR = ("clamp", "others", "samples"), "--ablate"
IDLE = ("cell", "cells", "offset", "length", "signal", "permutations", "probe")
HEEDS = ("--find", "--where", "--mask")


def wanted(options: dict[str, Any]) -> str | None:
    """The option that asks for this view, if it is given."""
    return "--ablate" if options["ablate"] else None


def show(terminal, model, ids, options: dict[str, Any]) -> None:
    """Hold the cells over ids (N,), and show what that does."""
    from charrnn.display.reports.ablation import ablation_lines, sample_lines
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.inspection.ablation import ablate

    hypothesis = _hypothesis(options, len(ids))
    mask = None if hypothesis is None else _mask(terminal, model, ids, hypothesis)
    seed = options["seed"] or 0  # a proof can be repeated
    with progress_bar(terminal, "Holding cells") as progress:
        found = ablate(
            model.network, ids, options["ablate"], options["clamp"], mask,
            controls=options["others"], seed=seed, progress=progress,
        )  # fmt: skip
    about = _record(model, found, hypothesis)
    if options["as_json"]:
        terminal.json(about)
    else:
        terminal.show(*ablation_lines(about, _SYMBOLS, terminal.width))
    if options["samples"]:
        with progress_bar(terminal, "Writing") as progress:
            samples = list(_samples(model, found, hypothesis, seed, options, progress))
        if options["as_json"]:
            for sample in samples:
                terminal.json(sample)
        else:
            terminal.show("", *sample_lines(samples, terminal.width))


def _hypothesis(options: dict[str, Any], characters: int):
    """What --find, --where or --mask says, if one of them is given."""
    from charrnn.commands.inspect import find

    if find.wanted(options) is None:
        return None
    return find.the_hypothesis(options, characters)


def _mask(terminal, model, ids, hypothesis):
    """Where the hypothesis holds (N,); numbers count as so where they are above their median."""
    import numpy as np

    from charrnn.inspection.hypotheses import label_text
    from charrnn.inspection.passage import EncodedText

    found = label_text(EncodedText(model.vocabulary, ids), hypothesis)
    if found.dtype != bool:
        middle = float(np.median(found))
        terminal.note(f"inside is where {hypothesis.name} is above its median, {middle:g}")
        found = found > middle
    if not 0 < np.count_nonzero(found[:-1]) < len(found) - 1:
        terminal.warn(f"{hypothesis.name} holds {'everywhere' if found.any() else 'nowhere'}: nothing to compare")
    return found


def _samples(model, found, hypothesis, seed, options: dict[str, Any], progress):
    """Records of texts written free, with the cells off and on as the mask says, or else as they were held."""
    from charrnn.inspection.generation import write_clamped
    from charrnn.inspection.reading import symbol_text

    askable = hypothesis if hypothesis is not None and hypothesis.is_mask and not options.get("mask") else None
    settings = {"free": {}}
    if found.masked:
        settings |= {"off": found.mean_outside, "on": found.mean_inside}
    else:
        settings["held"] = found.values
    counted = [each.id for each in found.symbols if each.inside == found.masked][:_COUNTED]
    prime, symbols = (
        sampling_options.prime(model, options),
        [symbol_text(symbol) for symbol in model.vocabulary.symbols],
    )
    for number, (title, held) in enumerate(settings.items()):

        def report(done: int, all_of_it: int, before: int = number) -> None:
            progress(before * all_of_it + done, len(settings) * all_of_it)

        written = write_clamped(
            model, held, prime, texts=options["samples"], length=_TEXT, choice=sampling_options.choice(options),
            seed=seed, hypothesis=askable, progress=report,
        )  # fmt: skip
        yield {
            "record": "samples",
            "cells": title,
            "held": {name(cell): value for cell, value in held.items()},
            "seed": seed,
            "prime": options["prime"],
            "characters": written.ids.size,
            "share_inside": written.share_inside,
            "runs_per_1000": written.runs_per_1000,
            "run_length": written.run_length,
            "per_1000": {symbols[index]: written.rate(index) for index in counted},
            "text": "".join(symbols[index] for index in written.ids[0]),
        }


def _record(model, found, hypothesis) -> dict[str, Any]:
    """All of an ablation but the samples, as a JSON object."""
    from dataclasses import asdict

    from charrnn.inspection.reading import symbol_text

    symbols = [symbol_text(symbol) for symbol in model.vocabulary.symbols]
    return {
        "record": "ablation",
        "held": {name(cell): value for cell, value in found.values.items()},
        "characters": found.characters,
        "text_characters": found.text_characters,
        "inside": None if hypothesis is None else hypothesis.summary,
        "share_inside": found.share,
        "loss": found.loss,
        "change": {part: asdict(getattr(found, part)) for part in ("overall", "inside", "outside", "contrast")},
        "block": found.block,
        "mean_inside": {name(cell): value for cell, value in found.mean_inside.items()},
        "mean_outside": {name(cell): value for cell, value in found.mean_outside.items()},
        "others": [
            {"cells": list(map(name, control.cells)), "overall": control.overall, "contrast": control.contrast}
            for control in found.controls
        ],
        "compared": {
            "characters": found.compared_characters,
            "overall": found.compared.overall,
            "contrast": found.compared.contrast,
        },
        "rank": found.rank if found.controls else None,
        "symbols": [
            {
                "symbol": symbols[each.id],
                "inside": each.inside,
                "count": each.count,
                "before": each.before,
                "after": each.after,
            }
            for each in found.symbols
        ],
    }
