"""Commands and options that have another spelling now. Whoever uses the old one is told the new one."""

# (command, a word among its arguments, the new spelling). The first row that fits answers.
_ROWS = (
    ("inspect", "--history", "inspect history RUN"),
    ("inspect", "--follow", "inspect follow CHECKPOINT"),
    ("inspect", "--ablate", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT"),
    ("inspect", "--clamp", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT --at zero|mean|X"),
    ("inspect", "--moments", "inspect similar CHECKPOINT [TEXT] --span REGEX|FROM:TO"),
    ("inspect", "--html", "inspect page CHECKPOINT [TEXT] -o FILE.html"),
    ("inspect", "--svg", "inspect draw CHECKPOINT [TEXT] -o FILE.svg"),
    ("inspect", "--png", "inspect draw CHECKPOINT [TEXT] -o FILE.png"),
    ("inspect", "--npz", "inspect arrays CHECKPOINT [TEXT] -o FILE.npz"),
    ("inspect", "--find", "inspect find CHECKPOINT [TEXT] --track NAME"),
    ("inspect", "--where", "inspect find CHECKPOINT [TEXT] --where REGEX"),
    ("inspect", "--mask", "inspect find CHECKPOINT [TEXT] --mask FILE"),
    ("analyse", "errors", "inspect errors CHECKPOINT [TEXT]"),
    ("analyse", "distance", "inspect distance CHECKPOINT [TEXT]"),
    ("analyse", "saturation", "inspect saturation CHECKPOINT [TEXT]"),
    ("analyse", None, "inspect saturation, inspect errors, inspect distance"),
    ("evaluate", "--baselines", "baselines CHECKPOINT [TEXT]"),
    ("evaluate", "--novelty", "novelty CHECKPOINT"),
)
_PYTORCH = "`charrnn bench --compare-pytorch` is now: python benchmarks/against_pytorch.py"


def answer(command: str, arguments: list[str]) -> str | None:
    """One line with the new spelling of what was asked for; None if it has not changed."""
    words = {each.partition("=")[0] for each in arguments}
    if command == "bench" and "--compare-pytorch" in words:
        return _PYTORCH
    for old, word, new in _ROWS:
        if old == command and (word is None or word in words):
            return f"`charrnn {old}{f' {word}' if word else ''}` is now: charrnn {new}"
    return None
