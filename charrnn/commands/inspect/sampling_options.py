"""Options of views that have the model write."""

from typing import Any

import click

from charrnn.commands.inspect import find
from charrnn.commands.options import Number, Whole

OPTIONS = (
    click.option("-p", "--prime", default="", help="Text that the model reads before it writes."),
    click.option(
        "-t", "--temperature", type=Number(0), default=1.0, show_default=True, help="0 is greedy, 1 as learnt."
    ),
    click.option(
        "--seed", type=Whole(0, 2**63 - 1),
        help="The same seed writes the same text.  [default: 0; a new one with --follow]",
    ),
    click.option("--top-k", type=Whole(0), default=0, help="Choose among the K likeliest characters only."),
    click.option(
        "--top-p", type=Number(0, 1, min_open=True), default=1.0,
        help="Choose among the likeliest that hold this much probability.",
    ),
    click.option(
        "--min-p", type=Number(0, 1), default=0.0, help="Leave out what is less likely than this part of the likeliest."
    ),
)  # fmt: skip

OWN, FOR = ("prime", "temperature", "top_k", "top_p", "min_p"), "--follow, or --ablate with --samples"


def wanted(options: dict[str, Any]) -> str | None:
    """The option that has the model write, if it is given."""
    if options["ablate"] and options["samples"]:
        return "--ablate"
    return "--follow" if options["follow"] else None


class Seeds:
    """Who draws random numbers: those who write, and those who compare with chance."""

    OWN, FOR = ("seed",), "--find, --where, --mask, --ablate or --follow"

    @staticmethod
    def wanted(options: dict[str, Any]) -> str | None:
        """The option that heeds a seed, if it is given."""
        return "--ablate" if options["ablate"] else find.wanted(options) or wanted(options)


def choice(options: dict[str, Any]):
    """How characters are chosen."""
    from charrnn.inference.sampler import Choice

    return Choice(options["temperature"], options["top_k"], options["top_p"], options["min_p"])


def prime(model, options: dict[str, Any]):
    """Ids (P,) of the prime, P >= 1."""
    text = options["prime"]
    return model.prime(
        text.encode("utf-8", "surrogateescape") if model.vocabulary.is_bytes else text, options["unknown"]
    )
