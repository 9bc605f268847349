"""``--match`` and ``--without``: what a text must be like, and how much of a model's probability they leave out."""

from typing import Any

import click

from charrnn.commands import sampling
from charrnn.commands.work import Work


def require_sense(options: dict[str, Any]) -> None:
    """Refuse options that contradict ``--match`` or ``--without``.

    Raises:
        click.UsageError: in one line.
    """
    if options["match"] is not None and options["stop"]:
        raise click.UsageError("--match says where a text ends: leave --stop out.")
    if options["lines"] is not None and "\n" in sampling.unescaped(options["without"]):
        raise click.UsageError("--lines end with a newline: leave \\n out of --without.")


def constraint(work: Work, prime: str | bytes):
    """What every text must be like, or None; ``prime`` is what lines begin with."""
    from charrnn.inference.constraint import constraint_of, constraint_of_line

    options, vocabulary = work.options, work.model.vocabulary
    match, without, length = options["match"], sampling.unescaped(options["without"]), options["length"]
    if match is None and not without:
        return None
    if options["lines"] is not None:
        return constraint_of_line(vocabulary, length, work.model.encode(prime, options["unknown"]), match, without)
    return constraint_of(vocabulary, length, match, without)


class Tally:
    """How much of the model's probability was masked in the texts that were written."""

    def __init__(self):
        self._choices, self._share, self._bits = 0, 0.0, 0.0

    def add(self, masked, stream: int) -> dict[str, float]:
        """Count a stream's text in; its part of a JSON object, empty if there is no constraint.

        ``masked`` is a sampler's :class:`charrnn.inference.constraint.Masked`.
        """
        if not len(masked.choices):
            return {}
        choices, share, bits = (float(each[stream]) for each in masked)
        self._choices += int(choices)
        self._share += choices * share
        self._bits += bits
        return {"masked": share, "masked_bits": bits}

    def tell(self, work: Work) -> None:
        """Say it in a line on standard error, if anything was chosen."""
        if self._choices:
            work.terminal.note(
                f"Masked: {self._share / self._choices:.1%} of a choice's probability on average; "
                f"{self._bits:,.1f} bits in {self._choices:,} choices"
            )
