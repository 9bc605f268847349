"""``charrnn inspect attention``: where the heads of a Transformer look."""

from collections.abc import Iterator
from typing import Any

import click

from charrnn.commands.help import option, section
from charrnn.commands.inspect.cells import head_option, name
from charrnn.commands.inspect.inspection import Inspection, inspecting, output_option, pager_option, stretch_options
from charrnn.commands.types import Whole

_MAPPED, _MOST_MAPPED = 100, 2000  # characters of a map that is not shown in a terminal, and of any map


@inspecting(
    section(
        "What is shown",
        head_option("Map this head, or several as in 0:3,1:2: for each character, where it looks."),
        option(
            "--at", type=Whole(0), metavar="N",
            help="Show where character N of the text looks, counted from 0: with all heads, or with those of --head.",
        ),
        output_option(".svg", ".png", required=False),
        option("--dark", is_flag=True, rare=True, help="Draw on a dark ground."),
        pager_option,
    ),
    stretch_options(None, "  [default: a map as the terminal has room for, a table of all]"),
)  # fmt: skip
def attention(work: Inspection) -> None:
    """Show where the heads of the Transformer in CHECKPOINT look while it reads TEXT. Without --head and --at it is a
    table of all heads: what each looks at most, how far back it looks, and how sharply.

    \b
    charrnn inspect attention fables
    charrnn inspect attention fables --head 0:3 --offset 200
    charrnn inspect attention fables --text 'The fox said, "Come in."' --at 23

    \f

    The patterns are itself, previous and previous-2 (one and two characters back), same-character (the same
    character's last place), induction (what followed it there), induction-3 (what followed the same three characters),
    line-start (the newline before the line), word-start (the first character of the word) and opening (the quotation
    mark or bracket that is open). A head has the name of the pattern that it follows most, if that gets a tenth of the
    weight that is not expected. `inspect find --track heads` tests all of them.

    -o draws the map of one head, or the view of one character.

    --json writes an object for each head: layer, head, looks_at (a pattern or null), characters, distance, entropy,
    by_distance, patterns (by name: weight, expected, places). With --head: layer, head, text, offset, weights (a row
    for each character: the sum over what stands before the text, then a number for each character). With --at: layer,
    head, at, text (up to this character), offset, weights.
    """
    options = work.options
    if options["at"] is not None and (options["offset"] or options["length"] is not None):
        raise click.UsageError("--at says what is read: leave --offset and --length out.")
    if options["output"] is not None and options["at"] is None and len(options["head"]) != 1:
        raise click.UsageError("-o draws one head or one character: give --head or --at.")
    if options["dark"] and options["output"] is None:
        raise click.UsageError("--dark is for a picture: give its file with -o.")
    work.open()
    work.require_heads()
    if options["at"] is not None:
        _view(work)
    elif options["head"]:
        _map(work)
    else:
        _table(work)


def _table(work: Inspection) -> None:
    """All heads in a table."""
    from charrnn.display.reports.attention import head_lines
    from charrnn.display.terminal.colours import SEQUENTIAL
    from charrnn.inspection.attention import summary
    from charrnn.inspection.head_patterns import PATTERNS

    with work.bar("Reading") as progress:
        found = summary(work.model, _stretch(work), progress=progress)
    records = [head_record(found, head) for head in found.heads]
    summaries = {each.name: each.summary for each in PATTERNS}

    def lines() -> Iterator:
        yield from head_lines(records, work.terminal.look(SEQUENTIAL), summaries)
        yield from ("", "Look closer at one of them:")
        yield f"  {work.command('attention', '--head', name(found.ranked()[0]))}"

    work.show(records, lines())


def _stretch(work: Inspection):
    """The ids that --offset and --length choose."""
    from charrnn.inspection.reading import stretch

    return stretch(work.ids, work.options["offset"], work.options["length"], 0)[0]


def head_record(found, head: tuple[int, int]) -> dict[str, Any]:
    """What a head does on average, as a JSON object."""
    return {
        "layer": head[0],
        "head": head[1],
        "looks_at": found.best(head),
        "characters": found.characters,
        "distance": float(found.distance[head]),
        "entropy": float(found.entropy[head]),
        "by_distance": found.by_distance[head].tolist(),
        "patterns": {
            pattern: {"weight": float(found.weight[pattern][head]), "expected": float(found.expected[pattern][head])}
            | {"places": places}
            for pattern, places in found.places.items()
            if places
        },
    }


def _map(work: Inspection) -> None:
    """One head or several, each as a map."""
    from charrnn.display.figures import save
    from charrnn.display.figures.attention import attention_map
    from charrnn.display.reports.attention import MOST_WEIGHT, map_lines, map_room, weight_legend
    from charrnn.display.terminal.colours import SEQUENTIAL
    from charrnn.display.terminal.tables import paragraph
    from charrnn.errors import ConfigError
    from charrnn.inspection.attention import read_attention

    options, offset = work.options, work.options["offset"]
    look, part = work.terminal.look(SEQUENTIAL), _stretch(work)
    wanted = min(len(part), options["length"] or _MAPPED)
    if wanted > _MOST_MAPPED:
        raise ConfigError(f"a map of {wanted:,} characters is too much: give a --length up to {_MOST_MAPPED:,}")
    if options["output"] is None and not options["as_json"]:
        room = map_room(work.model.vocabulary.characters(part[: look.width]), look.width)
        if room < wanted and options["length"]:
            work.terminal.note(f"a terminal {look.width} columns wide has room for the first {room} characters")
        wanted = min(wanted, room) if options["length"] else min(len(part), room)
    reading = read_attention(work.model, work.ids, offset, wanted)

    def records() -> Iterator[dict[str, Any]]:
        for head in options["head"]:
            about = {"layer": head[0], "head": head[1], "text": reading.text, "offset": offset}
            yield about | {"weights": reading.matrix(head)}

    def lines() -> Iterator:
        for head in options["head"]:
            title = f"head {name(head)}, from character {offset:,}: each row looks at the columns before it"
            yield from (*paragraph(title, look.width, "bold"), weight_legend(look), "")
            yield from (*map_lines(reading.text, reading.matrix(head), look), "")
        yield from paragraph("«: all that stands before this text", look.width, "dim")

    if options["output"] is None:
        work.show(records(), lines())
        return
    (head,) = options["head"]
    title = f"head {name(head)}: each row looks at the columns before it"
    save(attention_map(reading.text, reading.matrix(head), title, MOST_WEIGHT, options["dark"]), options["output"])
    work.tell_file()


def _view(work: Inspection) -> None:
    """One character's view, by every head that is asked for."""
    import numpy as np

    from charrnn.display.figures import save
    from charrnn.display.figures.heat_map import heat_map
    from charrnn.display.reports.attention import MOST_WEIGHT, view_lines, weight_legend
    from charrnn.display.terminal.colours import SEQUENTIAL
    from charrnn.display.terminal.tables import paragraph
    from charrnn.display.terminal.text_width import glyph
    from charrnn.inspection.attention import read_attention

    options, at = work.options, work.options["at"]
    reading = read_attention(work.model, work.ids, at, 1)
    text, weights = reading.looked_at(0)
    heads = options["head"] or [(int(layer), int(head)) for layer, head in np.ndindex(weights.shape[1:])]
    rows, chosen = list(map(name, heads)), weights[:, [layer for layer, _ in heads], [head for _, head in heads]]
    title = f"where character {at:,}, {glyph(text[-1], '␣')}, looks"
    if options["output"] is not None:
        ends = "0", f"{MOST_WEIGHT:g} or more"
        picture = heat_map(text, rows, chosen / MOST_WEIGHT, title, ends, 0.0, options["dark"])
        save(picture, options["output"])
        work.tell_file()
        return
    look = work.terminal.look(SEQUENTIAL)

    def records() -> Iterator[dict[str, Any]]:
        for (layer, head), column in zip(heads, chosen.T, strict=True):
            about = {"layer": layer, "head": head, "at": at, "text": text, "offset": at + 1 - len(text)}
            yield about | {"weights": column}

    work.show(
        records(),
        [*paragraph(title, look.width, "bold"), weight_legend(look), "", *view_lines(text, rows, chosen, look)],
    )
