"""Options of commands that have the model write: ``sample``, ``write``, ``inspect follow``, ``inspect ablate``."""

import re
from collections.abc import Callable
from typing import Any

from charrnn.commands.help import option, section
from charrnn.commands.options import seed_option
from charrnn.commands.types import Number, Whole
from charrnn.commands.work import Work
from charrnn.config import SAMPLE_TEMPERATURE


def sampling_options(seed: str, temperature: float = SAMPLE_TEMPERATURE) -> Callable:
    """The prime, and how each character is chosen.

    Args:
        seed: says in the help what happens without ``--seed``.
        temperature: the default.
    """
    return section(
        "How the model writes",
        option(
            "-p", "--prime", default="", show_default=False,
            help="Text that the model reads before it writes; \\n is a line break, \\t a tabulator, \\\\ a backslash.",
        ),
        *choice_options(seed, temperature),
    )  # fmt: skip


def choice_options(seed: str, temperature: float = SAMPLE_TEMPERATURE) -> tuple[Callable, ...]:
    """How each character is chosen; ``seed`` and ``temperature`` as in :func:`sampling_options`."""
    return (
        option(
            "-t", "--temperature", type=Number(0), default=temperature,
            help="0 is greedy, 0.5 careful, 1 as learnt, above 1 wild.",
        ),
        seed_option(seed),
        option(
            "--top-k", type=Whole(0), default=0, show_default=False, rare=True,
            help="Choose among the K likeliest characters only.",
        ),
        option(
            "--top-p", type=Number(0, 1, min_open=True), default=1.0, show_default=False, rare=True,
            help="Choose among the likeliest that hold this much probability.",
        ),
        option(
            "--min-p", type=Number(0, 1), default=0.0, show_default=False, rare=True,
            help="Leave out characters with less than this share of the likeliest one's probability.",
        ),
    )  # fmt: skip


def choice(options: dict[str, Any], temperature: float | None = None):
    """How characters are chosen; ``temperature``, if it is given, is taken instead of the option."""
    from charrnn.inference.sampler import Choice

    chosen = options["temperature"] if temperature is None else temperature
    return Choice(chosen, options["top_k"], options["top_p"], options["min_p"])


def seed_of(options: dict[str, Any]) -> int:
    """``--seed``, or a new one."""
    import secrets

    return secrets.randbelow(2**31) if options["seed"] is None else options["seed"]


def prime_ids(work: Work):
    """Ids (P,) of ``--prime``, P >= 1."""
    return work.model.prime(work.typed(unescaped(work.options["prime"])), work.options["unknown"])


def unescaped(text: str) -> str:
    r"""Text with \n, \t and \\ as a line break, a tabulator and a backslash; any other backslash stays."""
    return re.sub(r"\\([nt\\])", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)
