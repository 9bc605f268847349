"""Commands and options that have another spelling now. Whoever uses the old one is told the new one."""

from collections.abc import Iterator

from charrnn.commands.inspect import COMMANDS


def _files() -> Iterator[tuple[str, str, str]]:
    """Rows for options that wrote a file, of "inspect" with and without a subcommand."""
    for name in ("", *COMMANDS):
        for word, writer in {"--html": "page", "--svg": "draw", "--png": "draw", "--npz": "arrays"}.items():
            draws = writer == "draw" and name in ("saturation", "errors", "distance")
            new = f"inspect {name if draws else writer} CHECKPOINT [TEXT] -o FILE.{word[2:]}"
            yield f"inspect {name}".rstrip(), word, new


# (what was written before, a word among its arguments, the new spelling). The first row that fits answers.
_ROWS = (
    ("inspect", "--history", "inspect history RUN"),
    ("inspect", "--follow", "inspect follow CHECKPOINT"),
    ("inspect", "--ablate", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT"),
    ("inspect", "--clamp", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT --at zero|mean|X"),
    ("inspect", "--moments", "inspect similar CHECKPOINT [TEXT] --span REGEX|FROM:TO"),
    *_files(),
    ("inspect", "--find", "inspect find CHECKPOINT [TEXT] --track NAME"),
    ("inspect", "--where", "inspect find CHECKPOINT [TEXT] --where REGEX"),
    ("inspect", "--mask", "inspect find CHECKPOINT [TEXT] --mask FILE"),
    ("analyse", "errors", "inspect errors CHECKPOINT [TEXT] [-o FILE.svg]"),
    ("analyse", "distance", "inspect distance CHECKPOINT [TEXT] [-o FILE.svg]"),
    ("analyse", "saturation", "inspect saturation CHECKPOINT [TEXT] [-o FILE.svg]"),
    ("analyse", None, "inspect saturation, inspect errors, inspect distance"),
    ("evaluate", "--baselines", "baselines CHECKPOINT [TEXT]"),
    ("evaluate", "--novelty", "novelty CHECKPOINT"),
    ("sample", "--novel", "sample CHECKPOINT --lines N --unlike"),
)
_PYTORCH = "`charrnn bench --compare-pytorch` is now: python benchmarks/against_pytorch.py"


def answer(command: str, arguments: list[str]) -> str | None:
    """One line with the new spelling of ``command`` with ``arguments``; None if no old spelling is among them.

    ``command`` is the name of a command, or of a subcommand of "inspect".
    """
    words = {each.partition("=")[0] for each in arguments}
    if command == "bench" and "--compare-pytorch" in words:
        return _PYTORCH
    said = "inspect" if command == "show" else f"inspect {command}" if command in COMMANDS else command
    for old, word, new in _ROWS:
        if old == said and (word is None or word in words):
            return f"`charrnn {said}{f' {word}' if word else ''}` is now: charrnn {new}"
    return None
