"""Options of commands that have the model write: ``sample``, ``inspect follow``, ``inspect ablate``."""

from collections.abc import Callable
from typing import Any

from charrnn.commands.help import option, section
from charrnn.commands.options import seed_option
from charrnn.commands.types import Number, Whole
from charrnn.commands.work import Work


def sampling_options(seed: str) -> Callable:
    """The prime, and how each character is chosen. ``seed`` says in the help what happens without ``--seed``."""
    return section(
        "How the model writes",
        option("-p", "--prime", default="", show_default=False, help="Text that the model reads before it writes."),
        option(
            "-t", "--temperature", type=Number(0), default=1.0,
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
    return work.model.prime(work.typed(work.options["prime"]), work.options["unknown"])
