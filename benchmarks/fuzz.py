"""Fuzz what reads untrusted bytes: the targets of tests/fuzz_targets.py, each with a given number of inputs.

    python benchmarks/fuzz.py --inputs 100000                    # mutations of our own, the same each time
    python benchmarks/fuzz.py checkpoint settings --seconds 600  # some targets, by the clock
    python benchmarks/fuzz.py header --atheris --inputs 1000000  # guided by coverage, where atheris is installed

An input may be accepted, or refused in one short line.  Anything else ends the run: another exception, an input that
takes longer than --timeout of the processor's time (or WAITING times that of the clock), or one for which Python
allocates more than --memory (looked at for every thousandth input, since that is slow; guided by coverage, the process
is never given more than that, and BOOKKEEPING for what libFuzzer keeps).  The input is kept in the folder --keep.
"""

import argparse
import hashlib
import random
import resource
import signal
import sys
import time
import traceback
import tracemalloc
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from mutations import mutated

WEIGHED_EVERY = 1000
BOOKKEEPING = 192  # MB
WAITING = 60  # a machine may be loaded, and a process stopped for a while


class TooSlow(BaseException):
    """No target may swallow it."""


def load_targets(is_guided):
    """The targets by name.  If coverage is to guide them, what they look into is imported under its eyes."""
    if not is_guided:
        return import_module("fuzz_targets").TARGETS
    import atheris

    # Kernels are compiled and must stay as they are.
    with atheris.instrument_imports(include=["charrnn", "tomllib", "fuzz_targets"], exclude=["charrnn.kernels"]):
        targets = import_module("fuzz_targets").TARGETS
        commands = import_module("charrnn.commands")
        for name in commands.COMMANDS:
            commands.charrnn.get_command(None, name)
        import_module("tomllib")
    return targets


TARGETS = load_targets("--atheris" in sys.argv)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--inputs", type=int, default=10_000, help="for each target")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each target, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=int, default=10, help="seconds of the processor's time for one input")
    parser.add_argument("--memory", type=int, default=64, help="MB that one input may make Python allocate")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="folder for inputs that fail")
    parser.add_argument("--atheris", action="store_true", help="one target, guided by coverage")
    return parser.parse_args()


def too_slow(number, frame):
    raise TooSlow


def in_time(run, data, seconds):
    """What ``run`` makes of an input.

    Raises:
        TooSlow: it took more than so many seconds of the processor's time.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        return run(data)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def keep(folder, name, data):
    """Write the input that failed; where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def fuzz(name, options):
    """Give one target its inputs; whether all went well."""
    run, rng, seeds = TARGETS[name], random.Random(f"{name} {options.seed}"), TARGETS[name].seeds()
    pool, accepted, done, slowest, heaviest = list(seeds), 0, 0, 0.0, 0
    begun = time.monotonic()
    while done < options.inputs and time.monotonic() - begun < options.seconds:
        data = mutated(rng.choice(rng.choice((seeds, pool))), rng, seeds)
        weighed = done % WEIGHED_EVERY == 0
        if weighed:
            tracemalloc.start()
        started = time.process_time()
        signal.alarm(WAITING * options.timeout)
        try:
            fine = in_time(run, data, options.timeout)
        except BaseException as error:
            traceback.print_exc()
            print(f"{name}: {type(error).__name__} after {done:,} inputs: {keep(options.keep, name, data)}")
            return False
        if weighed:
            heaviest = max(heaviest, tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            if heaviest > options.memory * 2**20:
                print(f"{name}: {heaviest / 2**20:.0f} MB for one input: {keep(options.keep, name, data)}")
                return False
        else:
            slowest = max(slowest, time.process_time() - started)
        done += 1
        accepted += fine
        # What is accepted, and still small, is where the next inputs start from: changes add up.
        if fine and len(data) < 20_000:
            pool[rng.randrange(len(seeds), 200) if len(pool) >= 200 else len(pool) :] = [data]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{name:12} {done:>10,} inputs, {accepted:>9,} accepted, {time.monotonic() - begun:7.1f} s, slowest "
        f"{1000 * slowest:6.1f} ms, heaviest {heaviest / 2**20:5.1f} MB, process {peak:4.0f} MB",
        flush=True,
    )
    return True


def fuzz_guided(name, options):
    """Hand the target to libFuzzer, which does not return."""
    import atheris

    status = Path("/proc/self/status").read_text()
    now = 1024 * int(status.split("VmData:")[1].split()[0])
    most = now + (options.memory + BOOKKEEPING) * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    folder = options.keep / f"{name}-corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (folder / f"seed-{number}").write_bytes(seed)
    flags = [f"-runs={options.inputs}", f"-seed={options.seed}", f"-timeout={WAITING * options.timeout}"]
    if options.seconds < float("inf"):
        flags.append(f"-max_total_time={int(options.seconds)}")
    flags += ["-print_final_stats=1", "-max_len=20000", f"-artifact_prefix={options.keep}/{name}-", str(folder)]
    atheris.Setup([sys.argv[0], *flags], lambda data: in_time(TARGETS[name], data, options.timeout))
    atheris.Fuzz()


def main():
    options = arguments()
    signal.signal(signal.SIGPROF, too_slow)
    if options.atheris:
        if len(options.targets) != 1:
            raise SystemExit("--atheris takes one TARGET")
        fuzz_guided(options.targets[0], options)
    signal.signal(signal.SIGALRM, too_slow)
    results = [fuzz(name, options) for name in options.targets or TARGETS]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
