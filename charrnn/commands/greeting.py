"""``charrnn`` without a command: a greeting, and the commands that matter next."""

from charrnn.checkpoints.run_names import BUNDLED, RUNS
from charrnn.checkpoints.runs import Run, list_runs
from charrnn.display.terminal.console import Terminal
from charrnn.display.terminal.tables import key_values, paragraph
from charrnn.display.training.run_state import model_argument, resume_command

_SENTENCE = "charrnn trains a small language model on a text, lets it write, and shows its cells."


def greet() -> None:
    """Say what charrnn is, and what to do next: it depends on the runs and on the texts that are here."""
    terminal = Terminal()
    runs = [run for run in list_runs(RUNS) if run.description is not None]
    lines = key_values([*_steps(runs), ("charrnn --help", "all commands")], terminal.width)
    terminal.show(*paragraph(_SENTENCE, terminal.width), "", *lines)


def _steps(runs: list[Run]) -> list[tuple[str, str]]:
    """Commands, and what each does."""
    steps = []
    unfinished = next((run for run in runs if run.is_resumable), None)
    if unfinished is not None:
        steps.append((resume_command(str(unfinished.path)), "go on with the run that is not finished"))
    trained = [run for run in runs if run.description.counters.get("step")]
    if all(run.is_file for run in trained):
        steps.append(("charrnn demo", "a tour of two minutes: train, write, look inside"))
    name = model_argument(str(trained[0].path)) if trained else BUNDLED  # the model that comes with charrnn
    steps += [(f"charrnn sample {name}", "write"), (f"charrnn inspect {name}", "look at its cells")]
    return [*steps, ("charrnn train TEXT", "learn from a text of your own, which takes minutes")]
