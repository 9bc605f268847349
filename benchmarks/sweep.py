"""Search settings of ``charrnn train`` with many workers on many machines: Optuna, with its journal in a shared folder.

    pip install optuna
    python benchmarks/sweep.py FOLDER fables --train epochs=4 ngrams=off --space lr=0.003:0.1:log hidden=64:256:64
    python benchmarks/sweep.py FOLDER novel.txt --config search.toml --trials 100      # the same on every machine

Each call is one worker.  FOLDER is on a disk that all workers see; the first worker makes it.  A trial is one process
of ``charrnn train``, in FOLDER/runs, with the settings in FOLDER/runs/NAME.toml.  Its value is the best validation loss
of the network alone, without n-grams.  Workers end when ``--trials`` trials have begun.  To go on, or to add more,
call the command again.

``--space NAME=…`` names an option of train and its values: ``LOW:HIGH`` (whole numbers if both are whole), ``:log``
for a logarithmic scale, ``:STEP`` for multiples of a step above LOW, or ``A,B,C`` for a choice.  ``--train NAME=VALUE``
gives an option that all trials share; give epochs, steps or time-budget here.  A ``--config`` file has both as tables:

    [train]
    epochs = 4
    ngrams = "off"

    [space]
    lr = "0.003:0.1:log"
    hidden = "64:256:64"
    cell = ["lstm", "gru"]

A worker that gets SIGTERM or Ctrl-C stops its run with a checkpoint and hands the trial back; another worker resumes
it.  If a worker is killed, the others do the same once it has been silent for ``--stale`` seconds.  ``--prune`` ends
a trial whose validation losses are above the median of the others at the same share of the run.

At the end, each worker writes FOLDER/best.toml for ``charrnn train TEXT --config FOLDER/best.toml`` and prints a table
of the best trials.  A run of epochs or steps then reaches the same loss, to the bit.
"""

import argparse
import contextlib
import importlib.util
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from time_to_loss import diverged, table

from charrnn.text.catalog import find_text

HERE = Path(__file__).parent.parent
EVALUATIONS = 12  # of a run, by default; the shares of a run at which losses are compared
SIGNALS = (signal.SIGINT, signal.SIGTERM)
FAILURES = 3  # of trials in succession, after which a worker gives up

Value = bool | int | float | str


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole numbers if both are."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial, name: str) -> Value:
        """The value that a trial takes."""
        whole = all(isinstance(each, int) for each in (self.low, self.high, self.step or 1))
        if whole:
            return trial.suggest_int(name, self.low, self.high, step=self.step or 1, log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Value, ...]

    def suggest(self, trial, name: str) -> Value:
        """The value that a trial takes."""
        return trial.suggest_categorical(name, self.values)


def value_of(text: str) -> Value:
    """A number, true or false as in TOML; anything else is a string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, Value) else text


def values_of(given: object) -> Range | Choice:
    """What ``LOW:HIGH``, ``LOW:HIGH:log``, ``LOW:HIGH:STEP``, ``A,B,C`` or a list says.

    Raises:
        ValueError: it is none of these, or a range without numbers in it.
    """
    if isinstance(given, str) and ":" in given:
        low, high, *rest = map(value_of, given.split(":"))
        numbers = [each for each in (low, high, *rest) if type(each) in (int, float) and math.isfinite(each)]
        log = rest == ["log"]
        if len(rest) > 1 or len(numbers) < 2 + len(rest) - log or low >= high or (log and low <= 0):
            raise ValueError(f"{given!r}: a range is LOW:HIGH, LOW:HIGH:log or LOW:HIGH:STEP, as in 0.001:0.1:log")
        if rest and not log and rest[0] <= 0:
            raise ValueError(f"{given!r}: the step must be above 0")
        return Range(low, high, log, None if log or not rest else rest[0])
    values = tuple(value_of(each) for each in given.split(",")) if isinstance(given, str) else given
    if not isinstance(values, (tuple, list)) or not all(isinstance(each, Value) for each in values) or len(values) < 2:
        raise ValueError(f"{given!r}: give a range such as 64:256:64, or at least two values such as lstm,gru")
    return Choice(tuple(values))


def toml(settings: dict[str, Value]) -> str:
    """Settings as TOML, one a line, as ``charrnn train --config`` reads them.

    A JSON string is a TOML string, and Python writes a float with all the digits that it needs.
    """
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in settings.items())


def replace(path: Path, text: str) -> None:
    """Write a file that other workers may read at the same time."""
    part = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    part.write_text(text, "utf-8")
    part.replace(path)


def loss_of(record: dict) -> float | None:
    """The best validation loss in the last record of a run, infinite if it diverged; None if the run has not ended."""
    if record.get("event") != "finished" or record["reason"] == "interrupted":
        return None
    return math.inf if record["best_val_loss"] is None else record["best_val_loss"]


def last_record(path: Path) -> dict:
    """The last record of a run; empty if there is none, or if a kill cut it off."""
    try:
        return json.loads(path.read_text("utf-8").splitlines()[-1])
    except (FileNotFoundError, IndexError, json.JSONDecodeError):
        return {}


class Stopped(BaseException):
    """SIGTERM or Ctrl-C: the run is stopped, and the trial handed back."""


class Worker:
    """Takes trials of a study and runs them, one after the other."""

    def __init__(self, study, text: Path, options: argparse.Namespace):
        self.study, self.text, self.options = study, text, options
        self.runs = options.folder / "runs"
        self.runs.mkdir(parents=True, exist_ok=True)
        self.failures = 0

    def work(self) -> None:
        """Run trials until enough have begun.

        Raises:
            SystemExit: several trials in succession could not be run.
        """
        while True:
            self.hand_back_stale()
            states = states_of(self.study)
            if "WAITING" not in states and len(states) >= self.options.trials:
                return
            self.one(self.study.ask())
            if self.failures == FAILURES:
                raise SystemExit(f"{FAILURES} trials in succession failed: see above")

    def one(self, trial) -> None:
        """Run a trial, and tell the study what it gave."""
        from optuna.trial import TrialState

        name = trial.user_attrs.get("run", f"trial-{trial.number:05}")
        trial.set_user_attr("run", name)
        settings = {key: values.suggest(trial, key) for key, values in self.options.space.items()}
        replace(self.runs / f"{name}.toml", toml(self.options.train | settings))
        try:
            with self.alive(name):
                loss = self.train(trial, name)
        except Stopped:
            self.hand_back(trial.number)
            raise
        if loss is None:
            state, self.failures = TrialState.FAIL, self.failures + 1
        else:
            state, self.failures = TrialState.COMPLETE if math.isfinite(loss) else TrialState.PRUNED, 0
        # If another worker took this one for dead, the trial is told already, and the other one's run counts.
        self.study.tell(trial, loss if state is TrialState.COMPLETE else None, state, skip_if_finished=True)
        if state is not TrialState.FAIL and not self.options.keep:
            for path in (self.runs / name).glob("*.safetensors"):
                path.unlink(missing_ok=True)
        shown = f"{loss:.4f}" if state is TrialState.COMPLETE else state.name.lower()
        print(f"{name}: {shown}  {settings}", file=sys.stderr, flush=True)

    def train(self, trial, name: str) -> float | None:
        """The best validation loss of a run; infinite if it was pruned or diverged, None if it failed."""
        folder, settings = self.runs / name, self.runs / f"{name}.toml"
        begun = (folder / "last.safetensors").exists()
        if begun and (best := loss_of(last_record(folder / "metrics.jsonl"))) is not None:
            return best  # the worker was killed when the run had ended and the study did not know it yet
        command = [sys.executable, "-m", "charrnn", "train", str(self.text), "--config", str(settings), "--json", "-q"]
        command += ["--out", str(self.runs), "--name", name, "--threads", str(self.options.threads)]
        command += ["--resume" if begun else "--force"]
        if "sample-every" not in self.options.train:
            command += ["--sample-every", "0"]
        streams = {
            "stdout": subprocess.PIPE,
            "text": True,
            "start_new_session": True,
        }  # Ctrl-C reaches the worker alone
        with (
            (self.runs / f"{name}.err").open("w+", encoding="utf-8") as errors,
            subprocess.Popen(command, cwd=HERE, stderr=errors, **streams) as process,
        ):
            try:
                best = self.follow(trial, process)
                process.wait()
            except BaseException:
                process.terminate()  # train saves a checkpoint and stops
                process.communicate()
                raise
            errors.seek(0)
            said = errors.read().strip()
        if best is None and process.returncode == 1 and diverged(said):
            return math.inf
        if best is None:
            print(f"{name}: {said or f'train ended with {process.returncode}'}", file=sys.stderr, flush=True)
        return best

    def follow(self, trial, process: subprocess.Popen) -> float | None:
        """Read the records of a run until it ends: ``train``'s result."""
        progress, best = 0.0, None
        for line in process.stdout:
            record = json.loads(line)
            if record["event"] == "step":
                progress = record["progress"]
            elif record["event"] == "evaluated" and record["val_loss"] is not None:
                place = round(EVALUATIONS * progress)
                if place not in self.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
                    trial.report(record["val_loss"], place)
                if self.options.prune != "off" and place < EVALUATIONS and trial.should_prune():
                    process.kill()
                    process.communicate()
                    return math.inf
            best = loss_of(record)
        return best

    @contextlib.contextmanager
    def alive(self, name: str) -> Iterator[None]:
        """Touch a file from time to time while a trial runs, so that other workers see that this one lives."""
        path, ended = self.runs / f"{name}.alive", threading.Event()
        path.touch()

        def touch() -> None:
            while not ended.wait(self.options.stale / 10):
                path.touch()

        thread = threading.Thread(target=touch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def hand_back_stale(self) -> None:
        """Hand back the trials of workers that were killed.

        Both times are times of files in the same folder, so that the clocks of the machines do not matter.
        """
        from optuna.trial import TrialState

        clock = self.runs / f"clock-{os.getpid()}"
        clock.touch()
        now = clock.stat().st_mtime
        clock.unlink()
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            path = self.runs / f"{trial.user_attrs.get('run')}.alive"
            begun = path.stat().st_mtime if path.exists() else trial.datetime_start.timestamp()
            if now - begun > self.options.stale:
                print(f"trial {trial.number}: its worker is gone; the trial is taken up", file=sys.stderr, flush=True)
                self.hand_back(trial.number)

    def hand_back(self, number: int) -> None:
        """Let the next worker go on with a trial: one with the same values and the same run waits in its place.

        The journal has one order, so that only one of several workers gets to end the old trial.
        """
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState

        old = self.study.get_trials(deepcopy=False)[number]
        try:
            self.study.tell(number, state=TrialState.FAIL)
        except (ValueError, UpdateFinishedTrialError):
            return
        self.study.enqueue_trial(old.params, user_attrs=old.user_attrs | {"retry-of": number})


def states_of(study) -> list[str]:
    """The names of the states of all trials, without those that were handed back."""
    trials = study.get_trials(deepcopy=False)
    retried = {each.user_attrs.get("retry-of") for each in trials}
    return [each.state.name for each in trials if each.number not in retried]


def report(study, folder: Path, rows: int = 10) -> None:
    """Print the table of the best trials and write ``best.toml``."""
    trials = study.get_trials(deepcopy=False)
    done = sorted((each for each in trials if each.state.name == "COMPLETE"), key=lambda each: each.value)
    if not done:
        print("no trial has ended yet", file=sys.stderr)
        return
    names = list(done[0].params)
    best = [[each.user_attrs["run"], f"{each.value:.4f}", *(f"{each.params.get(n)}" for n in names)] for each in done]
    table(["run", "loss", *names], best[:rows])
    counts = {state: states_of(study).count(state) for state in ("COMPLETE", "PRUNED", "FAIL")}
    print(", ".join(f"{state.lower()}: {count}" for state, count in counts.items()), file=sys.stderr)
    source = folder / "runs" / f"{done[0].user_attrs['run']}.toml"
    head = f"# {done[0].user_attrs['run']}: validation loss {done[0].value!r}\n"
    replace(folder / "best.toml", head + source.read_text("utf-8"))


def open_study(options: argparse.Namespace):
    """The study in the folder, made if it is not there."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options.folder.mkdir(parents=True, exist_ok=True)
    journal = str(options.folder / "journal.log")
    lock = JournalFileOpenLock(journal) if os.name == "nt" else None  # by default a symbolic link, which suits NFS
    pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=8) if options.prune == "median" else optuna.pruners.NopPruner()
    )
    return optuna.create_study(
        storage=JournalStorage(JournalFileBackend(journal, lock)),
        sampler=optuna.samplers.TPESampler(seed=options.seed, constant_liar=True),
        pruner=pruner,
        study_name="charrnn",
        load_if_exists=True,
    )


def pairs(given: list[str]) -> dict[str, str]:
    """NAME=VALUE, taken apart.

    Raises:
        ValueError: one of them has no equals sign.
    """
    for each in given:
        if not all(each.partition("=")[::2]):
            raise ValueError(f"{each!r}: give NAME=VALUE")
    return {name: value for name, _, value in (each.partition("=") for each in given)}


def read_options(arguments: list[str] | None) -> argparse.Namespace:
    """The options, with ``space`` and ``train`` from the file and the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the sweep's folder, on a disk that all workers see")
    parser.add_argument("text", help="a file, or a name of the catalog")
    parser.add_argument("--config", type=Path, help="TOML file with the tables [train] and [space]")
    parser.add_argument("--space", nargs="+", action="extend", default=[], metavar="NAME=VALUES")
    parser.add_argument("--train", nargs="+", action="extend", default=[], metavar="NAME=VALUE")
    parser.add_argument("--trials", type=int, default=50, help="of all workers together  [default: 50]")
    parser.add_argument("--prune", choices=["off", "median"], default="off", help="[default: off]")
    parser.add_argument("--threads", type=int, default=1, help="of each run  [default: 1]")
    parser.add_argument("--stale", type=float, default=300, help="seconds of silence until a worker counts as killed")
    parser.add_argument("--seed", type=int, help="of Optuna's sampler")
    parser.add_argument("--keep", action="store_true", help="keep the weights of all runs")
    options = parser.parse_args(arguments)
    try:
        file = tomllib.loads(options.config.read_text("utf-8")) if options.config else {}
        if unknown := set(file) - {"train", "space"}:
            raise ValueError(f"{options.config}: unknown table {min(unknown)!r}; there are [train] and [space]")
        space = file.get("space", {}) | pairs(options.space)
        train = file.get("train", {}) | {name: value_of(each) for name, each in pairs(options.train).items()}
        options.space = {name.replace("_", "-"): values_of(given) for name, given in space.items()}
        options.train = {name.replace("_", "-"): value for name, value in train.items()}
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if not options.space:
        parser.error("nothing to search: give --space, or a --config with a table [space]")
    if twice := set(options.space) & set(options.train):
        parser.error(f"{min(twice)} is in --space and in --train")
    if importlib.util.find_spec("optuna") is None:
        parser.error("this needs Optuna: pip install optuna")
    options.folder = options.folder.absolute()
    return options


def main(arguments: list[str] | None = None) -> int:
    """Be one worker."""
    options = read_options(arguments)

    def stop(number: int, frame: object) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)  # the trial is handed back without another interruption
        raise Stopped(number)

    for each in SIGNALS:
        signal.signal(each, stop)
    study, code = open_study(options), 0
    try:
        Worker(study, Path(find_text(options.text)).absolute(), options).work()
    except Stopped as stopped:
        code = 128 + stopped.args[0]
    report(study, options.folder)
    return code


if __name__ == "__main__":
    raise SystemExit(main())
