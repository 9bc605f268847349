"""How well a model predicts a text, beside simpler models, and how much of its own text is copied.

It lays out the objects that ``evaluate``, ``baselines`` and ``novelty`` write with ``--json``; docs/COMMANDS.md names
their fields.
"""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from charrnn.display.terminal.tables import key_values, paragraph, table

PARTS = {"train": "the training part", "validation": "the validation part", "test": "the test part", "all": "all"}


def score_lines(report: Mapping[str, Any], width: int) -> list[Text]:
    """The scores, then a table for each other part that the report has."""
    lines = key_values(
        [
            ("loss", f"{report['loss']:.4f} nats per character"),
            ("bits per character", f"{report['bpc']:.4f}"),
            ("perplexity", f"{report['perplexity']:.3f}"),
            ("characters", f"{report['characters']:,} ({_scored(report)})"),
        ],
        width,
    )
    for name, part_lines in (("mixed", _mixed), ("online", _online), ("baselines", _baselines), ("novelty", _novelty)):
        if name in report:
            lines += [Text(), *part_lines(report, width)]
    return lines


def _scored(report: Mapping[str, Any]) -> str:
    """What was scored, and whether the model has learnt it."""
    part = report["part"]
    if part == "all":
        return "all of the run's text, which the model has learnt, at least in part" if report["learnt"] else "all"
    return f"{PARTS[part]}, which the model has {'' if report['learnt'] else 'not '}learnt"


def _mixed(report: Mapping[str, Any], width: int) -> list[Text]:
    rows = [("the network", report["loss"], report["bpc"])]
    rows.append(("with n-grams", report["mixed"]["loss"], report["mixed"]["bpc"]))
    return table(("the model", "nats", "bits/char"), rows, width)


def _online(report: Mapping[str, Any], width: int) -> list[Text]:
    online = report["online"]
    rate = f"lr {online['lr']:g} (slow × {online['slow_factor']:g})"
    how = f"{rate}, {online['steps']} a segment, decay {online['decay']:g}"
    rows = [("as it was", report["loss"], report["bpc"], ""), ("learning on", online["loss"], online["bpc"], how)]
    if "mixed_loss" in online:
        rows.append(("with n-grams", online["mixed_loss"], online["mixed_bpc"], "which learn on too"))
    return table(("the model", "nats", "bits/char", ""), rows, width)


def _baselines(report: Mapping[str, Any], width: int) -> list[Text]:
    baselines = report["baselines"]
    rows = [("the model", report["loss"], report["bpc"], "")]
    for gram in baselines["ngrams"]:
        name = f"{gram['order']}-gram" if gram["order"] else "uniform"
        mark = "★ best of these" if gram["order"] == baselines["best_order"] else ""
        rows.append((name, gram["loss"], gram["bpc"], mark))
    lines = table(("", "nats", "bits/char", ""), rows, width)
    title = f"modified Kneser-Ney on {baselines['fitted_on']:,} characters"
    compressors = [(each["name"], each["alone"], each["after"]) for each in baselines["compressors"]]
    columns = ("bits/char", "alone", "after the training text")
    return [*paragraph(title, width, "dim"), *lines, Text(), *table(columns, compressors, width)]


def _novelty(report: Mapping[str, Any], width: int) -> list[Text]:
    novelty = report["novelty"]
    held_out = novelty["held_out"]
    rows = [(gram["n"], _percent(gram["generated"]), _percent(gram["held_out"])) for gram in novelty["ngrams"]]
    columns = ["n", "generated", "held out"]
    if held_out is None:
        rows, columns = [row[:2] for row in rows], columns[:2]
    title = (
        f"n-grams that do not stand in the training text, of {novelty['characters']:,} characters written "
        f"at temperature {novelty['temperature']:g}, seed {novelty['seed']}"
    )
    longest = novelty["longest"]
    where = (
        f"{longest['length']:,} characters, from {longest['offset']:,} (line {longest['line']:,}) of the training text"
    )
    pairs = [("longest copy", where), ("", f"“{longest['text'].replace(chr(10), '↵')}”")]
    if held_out is not None:
        pairs.append(("of held-out text", f"{held_out['longest']:,} characters (of {held_out['characters']:,})"))
    return [*paragraph(title, width, "dim"), *table(columns, rows, width), Text(), *key_values(pairs, width)]


def _percent(share: float | None) -> str:
    """A share to a hundredth of a percent, of constant width, so that decimal points are aligned."""
    return f"{100 * share:6.2f} %" if share is not None else "–"
