"""What cells may keep track of: one value, from ``--track NAME``, ``--where REGEX`` or ``--mask FILE``."""

from pathlib import Path
from typing import Any, NamedTuple

import click

from charrnn.commands import offers
from charrnn.commands.help import option, section

# A test compares these with the hypotheses. Help imports no numpy, and so not the module that has them.
NAMES = (
    "quotes, brackets, column, line, indent, comment, word, word-position, upper, digit, sentence-end, url, tag"
)  # fmt: skip
PATTERNS = "itself, previous, previous-2, same-character, induction, induction-3, line-start, word-start, opening"
ALL, HEADS = "all", "heads"


class Wish(NamedTuple):
    """What was asked for: the option, and its value."""

    option: str
    value: str | Path

    @property
    def patterns(self) -> tuple:
        """The patterns of attention that are meant: one, all for ``--track heads``, or none."""
        from charrnn.inspection.head_patterns import BY_NAME, PATTERNS

        if self.option != "--track":
            return ()
        return PATTERNS if self.value == HEADS else tuple(BY_NAME[name] for name in BY_NAME if name == self.value)

    def hypothesis(self, characters: int):
        """The hypothesis about a text of so many characters.

        Raises:
            click.UsageError: ``--track all``.
            CharRNNError: there is none of this name, or the expression or the file cannot be used.
        """
        from charrnn.inspection.head_patterns import NAMES
        from charrnn.inspection.hypotheses import hypothesis
        from charrnn.inspection.masks import read_mask
        from charrnn.inspection.patterns import inside_match

        if self.option == "--where":
            return inside_match(self.value)
        if self.option == "--mask":
            return read_mask(self.value, characters)
        if self.value in (ALL, HEADS):
            raise click.UsageError("This command wants one hypothesis: --track NAME, not all of them.")
        return hypothesis(self.value, NAMES)


def _take(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Put the value into the one parameter ``hypothesis``; a second one is refused."""
    before = ctx.params.setdefault("hypothesis", None)
    if value is None:
        return
    if before is not None:
        raise click.UsageError(f"{before.option} and {param.opts[0]} exclude each other.")
    ctx.params["hypothesis"] = Wish(param.opts[0], value)


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> offers.Offers:
    """What a shell is offered for ``--track``."""
    every = (ALL, HEADS) if ctx.command.name == "find" else ()
    of_heads = PATTERNS.split(", ") if ctx.command.name in ("find", "ablate") else ()
    return offers.beginning_with(incomplete, (*NAMES.split(", "), *every, *of_heads))


def hypothesis_options(title: str, about: str, of_heads: str = ""):
    """The three options, as the parameter ``hypothesis``: a :class:`Wish` or None.

    Args:
        title: of their section in the help.
        about: what the command does with a hypothesis, for the help of ``--track``.
        of_heads: what it does with patterns of attention, for the same help.
    """
    shared = {"expose_value": False, "callback": _take}
    return section(
        title,
        option("--track", metavar="NAME", shell_complete=_names, help=f"{about} {NAMES}.{of_heads}", **shared),
        option("--where", metavar="REGEX", help="The same for the matches of a regular expression.", **shared),
        option(
            "--mask", type=click.Path(path_type=Path), metavar="FILE",
            help="The same for a file with a number for each character: a .npy, or text with 0 and 1.", **shared,
        ),
    )  # fmt: skip
