"""``charrnn demo``: a tour of two minutes."""

import click

from charrnn.commands.help import option
from charrnn.commands.options import quiet_option
from charrnn.commands.types import Duration
from charrnn.commands.work import Work, command

NAME, TEXT = "demo", "fables"
_INTRODUCTION = (
    "A small network learns from a book of fables, writes, and lets you look inside. Each line that begins with $ is a "
    "command that you can give yourself."
)
_NEXT = (
    ("charrnn train YOUR.txt", "learn from a text of your own"),
    ("charrnn sample YOUR", "let it write"),
    ("charrnn inspect YOUR", "look inside"),
    ("charrnn corpus list", "other texts to begin with"),
    (f"charrnn inspect page {NAME} -o cells.html", "every cell of this run, in a browser"),
)


@command(
    Work,
    option("--time-budget", type=Duration(), default="60s", help="How long the network trains, such as 90s or 3m."),
    option("--force", is_flag=True, help=f"Train anew if the run {NAME} is there."),
    quiet_option,
)
def demo(work: Work) -> None:
    """Train a small network on a book of fables, let it write, and look inside: a tour of two minutes.

    The fables come with charrnn, so neither a file nor the internet is needed. The run is called demo: all other
    commands take this name, and a demo that was interrupted goes on.

    \b
    charrnn demo
    charrnn sample demo --temperature 0.5
    """
    from charrnn.display.terminal.tables import key_values

    terminal = work.terminal
    terminal.note(_INTRODUCTION)
    for arguments in [*_training(work), *_looks()]:
        _run(terminal, arguments)
    terminal.note("")
    terminal.note("What to do next:")
    for line in key_values(_NEXT, terminal.width - 2):
        terminal.note(f"  {line.plain}")


def _training(work: Work) -> list[list[str]]:
    """The command that trains the network, or goes on with its run; none if the run is complete."""
    from charrnn.checkpoints.run_names import RUNS
    from charrnn.checkpoints.runs import list_runs

    seconds = f"{work.options['time_budget']:f}".rstrip("0").rstrip(".")
    quiet = ["--quiet"] if work.options["quiet"] else []
    begin = ["train", TEXT, "--name", NAME, "--time-budget", f"{seconds}s", *quiet]
    if work.options["force"]:
        return [[*begin, "--force"]]
    run = next((run for run in list_runs(RUNS) if run.path == RUNS / NAME and run.description is not None), None)
    if run is None:
        return [begin]
    if run.is_resumable:
        return [["train", "--resume", "--name", NAME, *quiet]]
    work.terminal.note(f"The run {NAME} is there already, and does not train again; --force trains it anew.")
    return []


def _looks() -> list[list[str]]:
    """The commands that look at the run."""
    written = ["sample", NAME, "--length", "400", "--seed", "1"]
    return [[*written, "--temperature", "0.5"], [*written, "--temperature", "1"], ["inspect", NAME, "--no-pager"]]


def _run(terminal, arguments: list[str]) -> None:
    """Show a command and run it; a command that was interrupted or failed ends the tour."""
    import shlex

    from charrnn.commands import charrnn

    terminal.prompt(f"charrnn {shlex.join(arguments)}")
    status = charrnn.main(arguments, prog_name="charrnn", standalone_mode=False)
    if isinstance(status, int) and status:
        click.get_current_context().exit(status)
