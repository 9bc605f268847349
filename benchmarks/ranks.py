"""What it costs to train with several ranks: processes instead of threads, groups of sums, and adding up gradients.

    python benchmarks/ranks.py processes --results benchmarks/ranks.json
    python benchmarks/ranks.py groups --threads 1 --results benchmarks/ranks.json
    python benchmarks/ranks.py rows --results benchmarks/ranks.json
    python benchmarks/ranks.py reductions --results benchmarks/ranks.json

- ``processes``: two ranks of one thread beside one rank of two threads, on the same windows.  The two sides take turns;
  the one that has no turn sleeps.  Shown are medians of the times of a step, and the ratio of each pair of turns.
- ``groups``: how much longer a pass over a window takes with --groups 2, 4, 8 than with 1, on one rank, in turns.
  Shown are medians of the ratios.
- ``rows``: the time of a step of one thread for several numbers of batch rows, and the part of it that is the same for
  every number: packing and the update.
- ``reductions``: the time in which 2, 4 and 8 ranks add up a gradient, in shared memory and with messages.

Needs mpi4py and MPICH or Open MPI (``pip install mpi4py mpich``); the launcher is the ``mpirun`` beside this
Python, else that of the PATH, or that of --mpirun.  What is measured is added to the file --results, which
benchmarks/ranks_model.py reads.  With --only a part of the cases is measured.
"""

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Client, Listener
from pathlib import Path
from statistics import median

import numpy as np

from charrnn.config import ModelConfig
from charrnn.training.mpi import NAP

VOCABULARY = 65
MODELS = {
    "lstm 2x256": ModelConfig(VOCABULARY, 256, 2),
    "lstm 2x128": ModelConfig(VOCABULARY, 128, 2),
    "lstm 2x512": ModelConfig(VOCABULARY, 512, 2),
    "gru 2x256": ModelConfig(VOCABULARY, 256, 2, cell="gru"),
    "gru 2x128": ModelConfig(VOCABULARY, 128, 2, cell="gru"),
    "rnn 2x256": ModelConfig(VOCABULARY, 256, 2, cell="rnn"),
    "rnn 2x128": ModelConfig(VOCABULARY, 128, 2, cell="rnn"),
    "transformer 4x128": ModelConfig(VOCABULARY, 128, 4, cell="transformer"),
}
SHAPES = (  # of ``processes``: model, batch rows, steps
    ("lstm 2x256", 32, 64),
    ("lstm 2x128", 50, 50),
    ("lstm 2x256", 128, 64),
    ("gru 2x256", 32, 64),
    ("transformer 4x128", 32, 64),
)
GROUPS = (1, 2, 4, 8)
GROUPED = (  # of ``groups``: model, batch rows, steps
    ("lstm 2x256", 32, 64),
    ("lstm 2x128", 32, 64),
    ("lstm 2x512", 32, 64),
    ("gru 2x256", 32, 64),
    ("gru 2x128", 32, 64),
    ("rnn 2x256", 32, 64),
    ("rnn 2x128", 32, 64),
    ("transformer 4x128", 32, 64),
    ("lstm 2x256", 64, 64),
    ("gru 2x256", 64, 64),
    ("lstm 2x256", 128, 64),
    ("gru 2x256", 128, 64),
    ("lstm 2x128", 16, 64),
    ("lstm 2x256", 32, 16),
    ("lstm 2x256", 32, 200),
)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
STEPS = 64
ELEMENTS = (200_000, 900_000, 3_000_000, 10_000_000, 30_000_000)
RANKS = (2, 4, 8)


def completed(name, steps):
    from charrnn.network.cells import cell_of

    return cell_of(MODELS[name]).completed(MODELS[name], steps)


def training(name, batch, steps, threads, groups=1, ranks=None):
    """Training steps, after a first one."""
    from charrnn.training.speed import Training

    found = Training(completed(name, steps), batch, steps, threads, groups, ranks)
    found.step(0)
    return found


def turn(work, seconds, least=3):
    """Seconds of each call of ``work(number)``, for about so long."""
    times, end = [], time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        begun = time.perf_counter()
        work(len(times))
        times.append(time.perf_counter() - begun)
    return times


# ---- processes beside threads


def be_a_side(address, threads):
    """A rank of one side: it makes steps when it is told to, and sleeps in between."""
    from charrnn.training import mpi

    ranks, current, work = mpi.start("auto"), None, None
    with Client(address) as parent:
        while (order := parent.recv()) is not None:
            shape, groups, count = order
            if shape != current:
                work, current = training(*shape, threads, groups, ranks), shape
            times = []
            waited = ranks.waited_s
            for number in range(count):
                begun = time.perf_counter()
                work.step(number)
                times.append(time.perf_counter() - begun)
            parent.send((times, ranks.waited_s - waited))
    ranks.finish()


class Side:
    """The processes of one side, and a connection to each."""

    def __init__(self, launcher, ranks, threads):
        with contextlib.ExitStack() as held:
            folder = held.enter_context(tempfile.TemporaryDirectory())
            listener = held.enter_context(Listener(str(Path(folder, "side"))))
            command = [sys.executable, __file__, "side", "--address", listener.address, "--threads", str(threads)]
            start = [*launcher, "-n", str(ranks)] if ranks > 1 else []
            self.process = subprocess.Popen([*start, *command])
            self.connections = [listener.accept() for _ in range(ranks)]

    def steps(self, shape, groups, count):
        """Seconds of ``count`` steps, each that of the slowest rank, and the mean share of time that ranks wait."""
        for each in self.connections:
            each.send((shape, groups, count))
        answers = [each.recv() for each in self.connections]
        times = [max(step) for step in zip(*(times for times, _ in answers), strict=True)]
        return times, sum(waited for _, waited in answers) / len(answers) / max(sum(times), 1e-9)

    def close(self):
        for each in self.connections:
            each.send(None)
        self.process.wait()


def measure_processes(options):
    found = []
    sides = [Side([], 1, 2), Side(options.launcher, 2, 1)]
    print("| model, rows x steps | 1 rank, 2 threads | 2 ranks, 1 thread | ratio | waits |\n|---|---|---|---|---|")
    for shape in chosen(SHAPES, options):
        for side in sides:
            side.steps(shape, 2, 0)
        pace = median(sides[0].steps(shape, 2, 3)[0])
        count = max(3, round(options.seconds / pace))
        ratios, medians, waits = [], ([], []), []
        for number in range(options.rounds):
            pair = [0.0, 0.0]
            for which in (0, 1) if number % 2 else (1, 0):
                times, waited = sides[which].steps(shape, 2, count)
                pair[which] = median(times)
                medians[which].append(pair[which])
                if which:
                    waits.append(waited)
            ratios.append(pair[0] / pair[1])
        name, batch, steps = shape
        result = {
            "model": name,
            "batch": batch,
            "steps": steps,
            "threads_s": median(medians[0]),
            "ranks_s": median(medians[1]),
            "ratios": ratios,
            "waiting_share": median(waits),
        }
        found.append(result)
        print(
            f"| {name}, {batch}x{steps} | {1e3 * result['threads_s']:.1f} ms | {1e3 * result['ranks_s']:.1f} ms | "
            f"**{median(ratios):.3f}** ({min(ratios):.3f}–{max(ratios):.3f}) | {result['waiting_share']:.1%} |",
            flush=True,
        )
    for side in sides:
        side.close()
    return found


# ---- groups, and rows


def measure_groups(options):
    """Passes over the same window with each number of groups in turns, each time in another order.

    A round of turns gives a ratio for each number of groups.  The update of the weights, which groups do not change, is
    left out.
    """
    from charrnn.network.network import Network

    found, rng = [], np.random.default_rng(1)
    print(f"| {options.threads} threads: model, rows x steps | 1 group | 2 | 4 | 8 |\n|---|---|---|---|---|")
    for name, batch, steps in chosen(GROUPED, options):
        x, times = rng.integers(MODELS[name].vocabulary, size=(steps, batch), dtype=np.int32), {g: [] for g in GROUPS}
        works = {}
        for groups in GROUPS:
            works[groups] = network = Network(completed(name, steps), seed=1, threads=options.threads)
            network.prepare_training()
            network.sum_groups = groups
            network.loss_and_gradient(x, x, network.initial_state(batch))
        states = {groups: network.initial_state(batch) for groups, network in works.items()}
        end, rounds = time.perf_counter() + options.rounds * options.seconds, 0
        while rounds < 3 or time.perf_counter() < end:
            order, rounds = np.roll(GROUPS, rounds).tolist(), rounds + 1
            for groups in order:
                begun = time.perf_counter()
                works[groups].loss_and_gradient(x, x, states[groups])
                times[groups].append(time.perf_counter() - begun)
        costs = {str(g): median(a / b for a, b in zip(times[g], times[1], strict=True)) - 1 for g in GROUPS[1:]}
        found.append({
            "model": name, "batch": batch, "steps": steps, "threads": options.threads, "turns": rounds,
            "pass_s": median(times[1]), "costs": costs,
        })  # fmt: skip
        shown = " | ".join(f"{cost:+.1%}" for cost in costs.values())
        print(f"| {name}, {batch}x{steps} | {1e3 * median(times[1]):.1f} ms | {shown} |", flush=True)
    return found


def measure_rows(options):
    from charrnn.system.stopwatch import Stopwatch

    found = []
    print("| model | rows | step | packing and update |\n|---|---|---|---|")
    for name in chosen(("lstm 2x256", "lstm 2x512"), options):
        works = {rows: training(name, rows, STEPS, options.threads) for rows in ROWS}
        times = {rows: [] for rows in ROWS}
        watches = {}
        for rows, work in works.items():
            work.network.stopwatch = watches[rows] = Stopwatch()
        for _ in range(options.rounds):
            for rows, work in works.items():
                watches[rows].restart()
                times[rows] += turn(work.step, options.seconds, 2)
        for rows in ROWS:
            watch, step = watches[rows], median(times[rows])
            fixed = step * (watch.seconds["packing"] + watch.seconds["update"]) / sum(watch.seconds.values())
            found.append({
                "model": name, "rows": rows, "steps": STEPS, "threads": options.threads, "step_s": step,
                "fixed_s": fixed, "parameters": works[rows].network.parameters.size,
            })  # fmt: skip
            print(f"| {name} | {rows} | {1e3 * step:.2f} ms | {1e3 * fixed:.2f} ms |", flush=True)
    return found


# ---- adding up gradients


def be_a_reducer(kind, sizes, seconds, least):
    """A rank that adds up arrays of several sizes with the others; the first one writes the seconds of each time.

    All arrays hold small whole numbers, so that the sum is known exactly.
    """
    import numpy as np

    from charrnn.training import mpi

    ranks = mpi.start("on")
    way = {"shared": mpi._SharedMemory, "messages": mpi._Messages}[kind]
    found = {}
    for elements in sizes:
        reduction = way(ranks._mpi, ranks._all, ranks._wait, elements)
        values = np.arange(elements, dtype=np.float32)
        np.fmod(values, 8, out=values)
        array = reduction.own if kind == "shared" else np.empty(elements, np.float32)
        times = []
        while len(times) <= least or sum(times) < seconds:
            np.add(values, ranks.number, out=array)
            ranks._wait(ranks._all.Ibarrier())
            begun = time.perf_counter()
            reduction.add_up(array, mpi.Told(0.0, float(ranks.number), 0.0, 0.0, 0.0, 0.0))
            times.append(ranks.from_first(lambda begun=begun: time.perf_counter() - begun))
        values *= ranks.size
        values += ranks.size * (ranks.size - 1) / 2
        if not np.array_equal(array, values):
            raise SystemExit(f"rank {ranks.number}: the sum of {elements} elements is wrong")
        found[elements] = times[1:]
        del reduction, array
    ranks.finish()
    if ranks.is_first:
        Path(os.environ["REDUCED"]).write_text(json.dumps(found))


def measure_reductions(options):
    found = []
    print("| way | ranks | million parameters | MB | median | least |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "times.json")
        program = [sys.executable, __file__, "reducer", "--elements", *map(str, options.elements)]
        program += ["--seconds", str(options.seconds), "--rounds", str(options.rounds)]
        for kind in chosen(("shared", "messages"), options):
            for ranks in options.ranks:
                subprocess.run(
                    [*options.launcher, "-n", str(ranks), *program, "--kind", kind],
                    env=os.environ | {"REDUCED": str(results)},
                    check=True,
                )
                for elements, times in json.loads(results.read_text()).items():
                    count = int(elements)
                    found.append({
                        "way": kind, "ranks": ranks, "elements": count, "median_s": median(times),
                        "least_s": min(times), "times": len(times),
                    })  # fmt: skip
                    print(
                        f"| {kind} | {ranks} | {count / 1e6:g} | {4 * count / 1e6:.1f} | {1e3 * median(times):.2f} ms "
                        f"| {1e3 * min(times):.2f} ms |",
                        flush=True,
                    )
    return found


# ---- the command line

MEASUREMENTS = {
    "processes": measure_processes,
    "groups": measure_groups,
    "rows": measure_rows,
    "reductions": measure_reductions,
}


def chosen(cases, options):
    """The cases that have the words of --only in their names."""
    named = {case: case if isinstance(case, str) else f"{case[0]}, {case[1]}x{case[2]}" for case in cases}
    return [case for case, name in named.items() if not options.only or any(word in name for word in options.only)]


def _written(results):
    """JSON with a line for each case."""
    parts = []
    for name, value in results.items():
        lines = ",\n".join(f"  {json.dumps(case)}" for case in value) if isinstance(value, list) else ""
        parts.append(f" {json.dumps(name)}: " + (f"[\n{lines}\n ]" if lines else json.dumps(value)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=[*MEASUREMENTS, "side", "reducer"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one turn")
    parser.add_argument("--only", nargs="*", default=(), help="words of the cases to measure")
    parser.add_argument("--ranks", type=int, nargs="*", default=RANKS)
    parser.add_argument("--elements", type=int, nargs="*", default=ELEMENTS)
    parser.add_argument("--mpirun")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--address", help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.action == "side":
        be_a_side(options.address, options.threads)
        return
    if options.action == "reducer":
        be_a_reducer(options.kind, options.elements, options.seconds, options.rounds)
        return
    launcher = options.mpirun or shutil.which("mpirun", path=Path(sys.executable).parent) or shutil.which("mpirun")
    if launcher is None:
        sys.exit("error: there is no mpirun: pip install mpi4py mpich, or name one with --mpirun")
    options.launcher = [launcher]
    found = MEASUREMENTS[options.action](options)
    if options.results:
        name = f"groups of {options.threads} threads" if options.action == "groups" else options.action
        naps = turn(lambda number: time.sleep(NAP), 0.2)
        earlier = json.loads(options.results.read_text()) if options.results.exists() else {}
        options.results.write_text(_written(earlier | {"nap_s": median(naps), name: found}))


if __name__ == "__main__":
    main()
