"""The HTML page of a network explained step by step: one file without scripts."""

from collections.abc import Iterable, Sequence

from charrnn.display.figures.svg import colour
from charrnn.display.page.parts import content_hash, escaped
from charrnn.display.palette import diverging, foreground
from charrnn.explanation.sections import Section, Summary

SHADES = 9  # of each side of zero
_STYLE = """
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
  background: var(--ground); color: var(--ink); }
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1c1f; --faint: #66656d; --rule: #dcdad4;
  --accent: #b45300; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #141416; --ink: #e4e4e7; --faint: #9a9aa5; --rule: #323238; --accent: #ff8c28; } }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; border-top: 2px solid var(--rule); padding-top: 1.2rem;
  margin-top: 2.5rem; }
h3 { font-size: 1rem; margin-bottom: 0; } p { margin: 0; } section p:last-of-type { margin-bottom: .4rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .88rem; }
th, td { padding: .15rem .6rem; text-align: right; white-space: nowrap; } th { font-weight: 600; color: var(--faint); }
th[scope=row] { text-align: left; font-weight: 400; color: inherit; }
.difference { color: var(--faint); font-size: .82em; }
.chosen { font-weight: 700; } nav a { margin-right: 1rem; } a { color: var(--accent); }
"""


def page(title: str, summary: str, steps: Sequence[tuple[Summary, Iterable[Section], Iterable[Section]]]) -> str:
    """The text of the file, in ASCII: ``steps`` have their summaries and the sections forward and back."""
    style = _STYLE + _shades()
    policy = f"default-src 'none'; style-src '{content_hash(style)}'; base-uri 'none'; form-action 'none'"
    summaries = [step for step, *_ in steps]
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escaped(title)}</title><style>{style}</style></head><body>",
        f"<h1>{escaped(title)}</h1><p>{escaped(summary)}</p>",
        _overview(summaries),
        "<p>Blue numbers are negative, orange ones positive. In the lower half of each step the finite difference "
        "stands in small type under each gradient: L computed anew with the number a little larger and a little "
        "smaller.</p>",
    ]
    for number, (step, forward, back) in enumerate(steps, 1):
        near = [
            f'<a href="#step-{other}">step {other}</a>' for other in (number - 1, number + 1) if 0 < other <= len(steps)
        ]
        parts.append(
            f'<section id="step-{number}"><h2>Step {number} of {len(steps)}: it reads {escaped(step.reads)}, and '
            f"{escaped(step.target)} comes next</h2><nav>{''.join(near)}</nav>"
        )
        parts += [*map(_section, forward), '<h3 class="chosen">Back</h3>', *map(_section, back), "</section>"]
    parts.append("</body></html>\n")
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode()


def _shades() -> str:
    """A class for each shade of a number, on a light and on a dark ground."""

    def rules(dark: bool) -> str:
        shades = diverging(SHADES, dark)
        return "".join(
            f".v{number} {{ background: {colour(shade)}; color: {colour(foreground(shade))}; }}\n"
            for number, shade in enumerate(shades)
        )

    return rules(dark=False) + f"@media (prefers-color-scheme: dark) {{\n{rules(dark=True)}}}\n"


def _overview(steps: Sequence[Summary]) -> str:
    rows = "".join(
        f'<tr><td><a href="#step-{number}">{number}</a></td><td>{escaped(step.reads)}</td>'
        f"<td>{escaped(step.target)}</td><td>{step.probability:.4f}</td><td>{step.loss:.4f}</td></tr>"
        for number, step in enumerate(steps, 1)
    )
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("step", "reads", "next", "p of next", "loss -ln p"))
    total = sum(step.loss for step in steps)
    return f"<table><tr>{heads}</tr>{rows}</table><p>L, the sum of the losses, is {total:.4f} nats.</p>"


def _section(section: Section) -> str:
    heads = "".join(f'<th scope="col">{escaped(name)}</th>' for name in ("", *section.columns))
    rows = []
    for line in section.lines:
        largest = max((abs(float(value)) for value in line.values), default=0.0)
        largest = max(largest, 1.0) if line.differences is None else largest or 1.0
        cells = "".join(
            f'<td class="v{SHADES - 1 + round(float(value) / largest * (SHADES - 1))}">{value:.4f}</td>'
            for value in line.values
        )
        rows.append(f'<tr><th scope="row">{escaped(line.label)}</th>{cells}</tr>')
        if line.differences is not None:
            cells = "".join(f"<td>{value:.4f}</td>" for value in line.differences)
            rows.append(f'<tr class="difference"><th scope="row">by finite difference</th>{cells}</tr>')
    return (
        f"<h3>{escaped(section.title)}</h3>{''.join(f'<p>{escaped(each)}</p>' for each in section.sentences)}"
        f'<div class="wide"><table><tr>{heads}</tr>{"".join(rows)}</table></div>'
    )
