"""A step of a network with every number: tables, with the finite difference under each gradient."""

from collections.abc import Iterable, Sequence

from rich.text import Text

from charrnn.display.terminal.tables import paragraph, table
from charrnn.display.terminal.text_width import glyph, plain
from charrnn.explanation.sections import Section, Summary

DIFFERENCE = "  by finite difference"


def shown(symbols: Iterable[str]) -> list[str]:
    """The characters of a vocabulary as they stand in a heading: ␣ for a space, ↵ for a line feed."""
    return [glyph(symbol, "␣") for symbol in symbols]


def overview_lines(title: str, summary: str, steps: Sequence[Summary], chosen: Sequence[int], width: int) -> list[Text]:
    """What is explained: the network, and a table of all steps; the ``chosen`` ones, from 0, have an arrow."""
    rows = [
        ["→" if t in chosen else "", t + 1, Text(step.reads), Text(step.target), step.probability, step.loss]
        for t, step in enumerate(steps)
    ]
    total = sum(step.loss for step in steps)
    return [
        *paragraph(title, width, "bold"),
        *paragraph(summary, width),
        Text(),
        *table(["", "step", "reads", "next", "p of next", "loss -ln p"], rows, width),
        Text(),
        *paragraph(f"L, the sum of the losses, is {total:.4f} nats.", width),
    ]


def step_lines(number: int, summary: Summary, forward: Iterable[Section], back: Iterable[Section], width: int):
    """The lines of step ``number``, from 1."""
    reads, target = plain(summary.reads), plain(summary.target)
    yield Text()
    yield from paragraph(f"Step {number}, forward: it reads {reads}, and {target} comes next", width, "bold reverse")
    for section in forward:
        yield from _lines(section, width)
    yield Text()
    title = f"Step {number}, back: by how much does L grow when a number grows a little?"
    yield from paragraph(title, width, "bold reverse")
    sentence = (
        "Under each gradient stands the finite difference: L is computed anew with the number a little larger and a "
        "little smaller, and the change of L is divided by that of the number."
    )
    yield from paragraph(sentence, width)
    for section in back:
        yield from _lines(section, width)


def _lines(section: Section, width: int) -> Iterable[Text]:
    yield Text()
    yield from paragraph(section.title, width, "bold")
    for sentence in section.sentences:
        yield from paragraph(sentence, width)
    rows = []
    for line in section.lines:
        rows.append([line.label, *map(float, line.values)])
        if line.differences is not None:
            rows.append([DIFFERENCE, *map(float, line.differences)])
    for line in table(["", *section.columns], rows, width):
        if line.plain.startswith(DIFFERENCE):
            line.stylize("dim")
        yield line
