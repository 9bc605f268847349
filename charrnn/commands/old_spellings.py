"""Commands and options that have another spelling now. Whoever uses the old one is told the new one."""

# (command, a word among its arguments, the new spelling). The first row that fits answers. "inspect" without a
# subcommand is "show".
_ROWS = (
    ("show", "--history", "inspect history RUN"),
    ("show", "--follow", "inspect follow CHECKPOINT"),
    ("show", "--ablate", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT"),
    ("show", "--clamp", "inspect ablate CHECKPOINT [TEXT] --cell LAYER:UNIT --at zero|mean|X"),
    ("show", "--moments", "inspect similar CHECKPOINT [TEXT] --span REGEX|FROM:TO"),
    ("show", "--html", "inspect page CHECKPOINT [TEXT] -o FILE.html"),
    ("show", "--svg", "inspect draw CHECKPOINT [TEXT] -o FILE.svg"),
    ("show", "--png", "inspect draw CHECKPOINT [TEXT] -o FILE.png"),
    ("show", "--npz", "inspect arrays CHECKPOINT [TEXT] -o FILE.npz"),
    ("show", "--find", "inspect find CHECKPOINT [TEXT] --track NAME"),
    ("show", "--where", "inspect find CHECKPOINT [TEXT] --where REGEX"),
    ("show", "--mask", "inspect find CHECKPOINT [TEXT] --mask FILE"),
    ("analyse", "errors", "inspect errors CHECKPOINT [TEXT] [-o FILE.svg]"),
    ("analyse", "distance", "inspect distance CHECKPOINT [TEXT] [-o FILE.svg]"),
    ("analyse", "saturation", "inspect saturation CHECKPOINT [TEXT] [-o FILE.svg]"),
    ("analyse", None, "inspect saturation, inspect errors, inspect distance"),
    ("evaluate", "--baselines", "baselines CHECKPOINT [TEXT]"),
    ("evaluate", "--novelty", "novelty CHECKPOINT"),
)
_PYTORCH = "`charrnn bench --compare-pytorch` is now: python benchmarks/against_pytorch.py"


def answer(command: str, arguments: list[str]) -> str | None:
    """One line with the new spelling of ``command`` with ``arguments``; None if no old spelling is among them."""
    words = {each.partition("=")[0] for each in arguments}
    if command == "bench" and "--compare-pytorch" in words:
        return _PYTORCH
    for old, word, new in _ROWS:
        if old == command and (word is None or word in words):
            said = "inspect" if old == "show" else old
            return f"`charrnn {said}{f' {word}' if word else ''}` is now: charrnn {new}"
    return None
