"""Train on several hosts that are namespaces of this machine, with delay and loss, and cut one off.

    python benchmarks/hosts.py check
    python benchmarks/hosts.py check --delay 2ms --loss 0.1%
    python benchmarks/hosts.py cut --times 5 --seed 2
    python benchmarks/hosts.py run -- python -m charrnn train TEXT --groups 4

Needs Linux, root's rights, iproute2, util-linux, and mpi4py with MPICH or Open MPI (``pip install mpi4py mpich``).  The
launcher is the ``mpiexec`` beside this Python, else that of the PATH, or that of --mpiexec.  It runs on the first host
and reaches the others as it would with ssh; the ranks talk over TCP.  The hosts have no link to any other network, and
nothing is left of them when this program ends, however it ends (see hosts_network.py).

- ``check`` trains in one process, on the hosts, and on the hosts with delay and loss, and compares the outcome: all
  bytes of the tensors of the last and the best checkpoint, the counters, and the log without its times.
- ``cut`` trains on the hosts and cuts one off at a random moment.  All ranks must end within --within seconds, the one
  that is cut off included.  The last checkpoint must load, and a run that is resumed from it, on all hosts, must have
  the outcome of an undisturbed run.
- ``run`` runs a command as the ranks of an MPI program on the hosts.

With --program pattern, ``check`` and ``cut`` run hosts_pattern.py instead of the training: it tells a fault of the
network or of the MPI from a fault of charrnn.

Options: --hosts, how many; --per-host, the ranks of each; --delay, of every frame, such as 2ms; --loss, the share of
frames that get lost, such as 0.1%; --steps, of a run; --times, how many runs are cut; --how, link (the link goes down)
or silent (frames get lost); --within, seconds; --seed, of the moments, the hosts and the lost frames; --mpi-options,
more options for the launcher.
"""

import argparse
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hosts_network import Network, end_with_the_process_outside, inside, missing, outside

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "HOSTS_FOLDER"  # variable: where the runs are
TRAIN = (
    *("--hidden", "48", "--layers", "2", "--seq-len", "32", "--batch-size", "32", "--groups", "8", "--threads", "1"),
    *("--dropout", "0.2", "--ema", "0.99", "--save-every", "5", "--eval-every", "40", "--sample-every", "50"),
)
LATEST = 3.0  # seconds between the first checkpoint and the latest moment of a cut
LAUNCHER = 5.0  # seconds that the launcher may live longer than all ranks
VERSION = re.compile(r"\d+(\.\d+)+")
TIMEOUT = 600.0  # seconds; a run that takes longer hangs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("check", "cut", "run"))
    parser.add_argument("--mpiexec")
    parser.add_argument("--mpi-options", type=shlex.split, default=[])
    parser.add_argument("--hosts", type=int, default=4, choices=range(1, 100), metavar="1-99")
    parser.add_argument("--per-host", type=int, default=1)
    parser.add_argument("--delay", type=seconds)
    parser.add_argument("--loss", type=share)
    parser.add_argument("--program", choices=PROGRAMS, default="training")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--how", choices=("link", "silent"), default="link")
    parser.add_argument("--within", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    options, command = parser.parse_args(given[:cut]), given[cut + 1 :]
    if (options.action == "run") != bool(command):
        parser.error("'run' needs a command after --, and only 'run' has one")
    if lacks := missing():
        sys.exit(f"error: hosts cannot be made on this machine: it lacks {lacks}")
    if not inside():
        with tempfile.TemporaryDirectory(prefix="hosts-") as folder:
            os.environ[FOLDER] = folder
            sys.exit(outside(__file__, given))
    end_with_the_process_outside()
    bench = Bench(options, Path(os.environ[FOLDER]))
    try:
        sys.exit({"check": bench.check, "cut": bench.cut, "run": lambda: bench.run(command)}[options.action]())
    except KeyboardInterrupt:
        sys.exit(130)


def seconds(text):
    """Seconds from a text such as 2ms or 0.1s."""
    if text.endswith("ms"):
        return float(text.removesuffix("ms")) / 1e3
    return float(text.removesuffix("s"))


def share(text):
    """A probability from a text such as 0.1%."""
    if not text.endswith("%") or not 0 <= float(text[:-1]) < 100:
        raise argparse.ArgumentTypeError("a loss is given as 0.1%")
    return float(text[:-1]) / 100


class Bench:
    """Runs of one program, alone and on hosts, in a folder."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.program = PROGRAMS[options.program](folder, options.steps)
        self.mpiexec = options.mpiexec or shutil.which("mpiexec", path=Path(sys.executable).parent)
        self.mpiexec = self.mpiexec or shutil.which("mpiexec")
        if self.mpiexec is None:
            sys.exit("error: there is no mpiexec: pip install mpi4py mpich, or name one with --mpiexec")
        said = subprocess.run([self.mpiexec, "--version"], capture_output=True, text=True).stdout
        self.is_open_mpi = "Open MPI" in said or "OpenRTE" in said
        if not self.is_open_mpi and "HYDRA" not in said:
            sys.exit(f"error: {self.mpiexec} is neither MPICH's nor Open MPI's")
        if options.action != "run":
            print("Open MPI" if self.is_open_mpi else "MPICH", VERSION.search(said)[0], flush=True)

    def network(self, delay, loss):
        folder = Path(tempfile.mkdtemp(prefix="network-", dir=self.folder))
        return Network(folder, self.options.hosts, delay or 0.0, loss or 0.0, self.options.seed)

    def launch(self, network, command, **popen):
        """Start ``command`` as the ranks of an MPI program on all hosts of ``network``."""
        count = self.options.per_host
        hosts = ",".join(f"{name}:{count}" for name in network.names)
        if self.is_open_mpi:
            how = ["--allow-run-as-root", "--bind-to", "none", "--prtemca", "plm_ssh_agent", network.agent]
            how += ["--host", hosts, "-x", "PYTHONPATH"]
        else:
            how = ["-launcher", "ssh", "-launcher-exec", network.agent, "-iface", "eth0", "-hosts", hosts]
        ranks = str(count * self.options.hosts)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return network.start(
            [self.mpiexec, *how, *self.options.mpi_options, "-n", ranks, *command], env=environment, **popen
        )

    def launch_program(self, network, name, log):
        return self.launch(network, self.program.command(name), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def alone(self, name):
        """Run the program in one process; returns its outcome."""
        begun = time.monotonic()
        with self.log(name).open("w") as log:
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            status = subprocess.call(
                self.program.command(name, spread=False), stdout=log, stderr=log, env=environment, timeout=TIMEOUT
            )
        if status:
            self.fail(name, f"one process alone ended with the exit status {status}")
        print(f"one process: {time.monotonic() - begun:.1f} s", flush=True)
        return self.program.outcome(name)

    def spread(self, name, delay, loss):
        """Run the program on the hosts; returns its outcome."""
        begun = time.monotonic()
        with self.network(delay, loss) as network, self.log(name).open("w") as log:
            process = self.launch_program(network, name, log)
            try:
                status = process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.fail(name, f"the run has not ended after {TIMEOUT:g} s")
            switch = network.switch
        if status:
            self.fail(name, f"the launcher ended with the exit status {status}")
        print(
            f"{self.options.hosts} hosts, delay {(delay or 0) * 1e3:g} ms, loss {loss or 0:.2%}: "
            f"{time.monotonic() - begun:.1f} s, {switch.frames} frames, {switch.lost} lost",
            flush=True,
        )
        return self.program.outcome(name)

    def check(self):
        expected = self.alone("alone")
        delay, loss = self.options.delay, self.options.loss
        conditions = [(0.0, 0.0), (0.002 if delay is None else delay, 0.001 if loss is None else loss)]
        for number, (delay, loss) in enumerate(conditions):
            if self.spread(f"spread{number}", delay, loss) != expected:
                self.fail(f"spread{number}", "the outcome is not that of one process")
        print("the same bytes each time")
        return 0

    def cut(self):
        expected = self.alone("alone")
        moments = random.Random(self.options.seed)
        for number in range(self.options.times):
            name, host = f"cut{number}", moments.randrange(self.options.hosts)
            self.cut_once(name, host, moments.uniform(0, LATEST))
            if self.spread(name, self.options.delay, self.options.loss) != expected:
                self.fail(name, "the outcome of the resumed run is not that of an undisturbed one")
        print("resumed to the same bytes each time")
        return 0

    def cut_once(self, name, host, moment):
        """Start a run, cut a host off, and see that all ranks end."""
        with self.network(self.options.delay, self.options.loss) as network, self.log(name).open("w") as log:
            process = self.launch_program(network, name, log)
            begun = time.monotonic()
            while not self.program.path(name).exists():
                if process.poll() is not None or time.monotonic() - begun > TIMEOUT:
                    self.fail(name, "there was no checkpoint")
                time.sleep(0.02)
            time.sleep(moment)
            if process.poll() is not None or not network.ranks(host):
                self.fail(name, "the run ended before the cut: it needs more --steps")
            network.cut(host, self.options.how)
            begun, ended = time.monotonic(), {}
            while len(ended) < len(network.names):
                for number, other in enumerate(network.names):
                    if other not in ended and not network.ranks(number):
                        ended[other] = time.monotonic() - begun
                if time.monotonic() - begun > self.options.within:
                    left = ", ".join(sorted(set(network.names) - set(ended)))
                    self.fail(name, f"ranks still ran {self.options.within:g} s after the cut: {left}")
                time.sleep(0.05)
            try:
                status = f"the launcher with the exit status {process.wait(LAUNCHER)}"
            except subprocess.TimeoutExpired:
                status = f"the launcher had to be killed, as it still ran {LAUNCHER:g} s later"
            step = self.program.step(name)
            times = ", ".join(f"{other} {ended[other]:.1f}" for other in network.names)
            print(
                f"{network.names[host]} cut off {moment:.2f} s after the first checkpoint; last checkpoint of step "
                f"{step}; seconds until the ranks ended: {times}; {status}",
                flush=True,
            )

    def run(self, command):
        delay, loss = self.options.delay, self.options.loss
        with self.network(delay, loss) as network:
            process = self.launch(network, command)
            while True:
                try:
                    status = process.wait()
                    break
                except KeyboardInterrupt:  # the launcher has got it, too
                    continue
        return status if status >= 0 else 128 - status

    def log(self, name):
        return self.folder / f"{name}.txt"

    def fail(self, name, why):
        kept = Path(tempfile.mkdtemp(prefix="hosts-failed-"))
        shutil.copytree(self.folder, kept, dirs_exist_ok=True)
        end = "".join(self.log(name).read_text(errors="replace").splitlines(keepends=True)[-15:])
        sys.exit(f"{end}\nerror: {name}: {why}; what is left is in {kept}")


class Training:
    """Runs of ``charrnn train``, in folders by their names."""

    def __init__(self, folder, steps):
        self.folder, self.steps = folder, steps
        sys.path.insert(0, str(ROOT))

    def command(self, name, spread=True):
        """The command of a rank, or of the only process; a run that has a checkpoint goes on from it."""
        how = ("--resume",) if self.path(name).exists() else (*TRAIN, "--steps", str(self.steps))
        text = ROOT / "corpora" / "fables.txt"
        run = ("--out", self.folder, "--name", name, "--distributed", "on" if spread else "off")
        return [sys.executable, "-m", "charrnn", "train", text, *run, *how, "--json"]

    def path(self, name):
        return self.folder / name / "last.safetensors"

    def outcome(self, name):
        """All that must not depend on where a run was trained."""
        from soak_runs import outcome

        return outcome(self.folder / name)

    def step(self, name):
        """The step of the last checkpoint, which must be whole."""
        from charrnn.checkpoints.checkpoint import Checkpoint

        return Checkpoint.load(self.path(name)).counters["step"]


class Pattern:
    """Runs of hosts_pattern.py, which have one file each."""

    def __init__(self, folder, steps):
        self.folder, self.steps = folder, steps

    def command(self, name, spread=True):
        return [sys.executable, ROOT / "benchmarks" / "hosts_pattern.py", self.path(name), "--steps", str(self.steps)]

    def path(self, name):
        return self.folder / f"{name}.parameters"

    def outcome(self, name):
        return self.path(name).read_bytes()

    def step(self, name):
        stored = self.path(name).read_bytes()
        if len(stored) % 4:
            sys.exit(f"error: {self.path(name)} is not whole")
        return int.from_bytes(stored[:8], "little")


PROGRAMS = {"training": Training, "pattern": Pattern}

if __name__ == "__main__":
    main()
