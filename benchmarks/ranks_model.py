"""How many ranks still pay, by a model: what was measured on one machine, and what a network adds to it.

    python benchmarks/ranks_model.py benchmarks/ranks.json docs/ranks.svg

Prints tables and draws the share of the time of a step that computes (the efficiency), against the number of ranks, for
three networks.  benchmarks/ranks.json is what benchmarks/ranks.py has measured.

The model.  Every rank is a host; with it grows the batch, so that a core always has the same number of rows.  A step
takes the time of its computation, which was measured, and the time of a reduction of n bytes among p ranks:

    2 (p - 1) (α + w)  +  2 n β (p - 1) / p  +  l(n)

It is a pairwise exchange of slices (Alltoall), the sum of the slices, and a ring that hands the sums round (Allgather).
Both have p - 1 messages in a row and send n (p - 1) / p bytes: Thakur, Rabenseifner & Gropp, Optimization of collective
communication operations in MPICH, International Journal of High Performance Computing Applications 19(1), 2005,
sections 4.1 and 4.3.  α is the time of an empty message, β that of a byte.  w is how much later than at its arrival a
message is seen by a rank that sleeps between tests (charrnn.training.mpi.NAP).  l(n), copies and sums on the rank, is
taken from the time in which two ranks on one machine reduce n bytes with messages: a line through measured points.

Recursive halving, then doubling (the same paper, and Rabenseifner, Optimization of collective reduction operations,
ICCS 2004, LNCS 3036) has 2 log2 p messages in a row instead of 2 (p - 1), with the same bytes.

The model leaves out: ranks that wait because another one is slower, a network that is shared or has a narrow core, and
evaluations and saves.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
from series import draw

NETWORKS = {  # name: α in seconds, and bits a second; α are typical values of TCP, TCP, and InfiniBand, not measured
    "1 Gbit/s": (50e-6, 1e9),
    "10 Gbit/s": (20e-6, 10e9),
    "100 Gbit/s": (2e-6, 100e9),
}
RANKS = tuple(2**power for power in range(3, 11))
MODEL = "lstm 2x256"
ROWS = 16  # of a core
LATENESS = 0.5  # of a nap: how much later than at its arrival a message is seen, on average
PARTS = 8  # of --accumulate
FIXED, CORES = 1024, 16  # rows of a batch that does not grow, and cores of a host


class Model:
    """The model, with what was measured.

    Args:
        measured: as in benchmarks/ranks.json.
        nap: seconds that a sleep of charrnn.training.mpi.NAP really takes.
    """

    def __init__(self, measured, nap):
        rows = [each for each in measured["rows"] if each["model"] == MODEL]
        self.steps = {each["rows"]: each["step_s"] for each in rows}
        self.fixed = float(np.median([each["fixed_s"] for each in rows]))
        self.bytes = 4 * rows[0]["parameters"]
        points = [each for each in measured["reductions"] if each["way"] == "messages" and each["ranks"] == 2]
        sizes, times = (np.array([each[name] for each in points]) for name in ("elements", "median_s"))
        slope, start = np.polyfit(4 * sizes, times, 1, w=1 / times)  # relative errors count alike
        self.start, self.per_byte, self.nap = max(start, 0.0), slope, nap

    def reduction(self, ranks, network, bits=32, halving=False):
        """Seconds."""
        latency, rate = NETWORKS[network]
        size, share = self.bytes * bits / 32, (ranks - 1) / ranks
        messages = 2 * math.log2(ranks) if halving else 2 * (ranks - 1)
        late = LATENESS * self.nap
        return messages * (latency + late) + 2 * share * 8 * size / rate + self.start + self.per_byte * self.bytes

    def step(self, rows, parts=1):
        """Seconds of the computation of a step with so many rows a core, in so many parts."""
        return parts * (self.steps[rows] - self.fixed) + self.fixed

    def efficiency(self, ranks, network, rows=ROWS, parts=1, **how):
        """The time of the computation over that of the whole step."""
        computation = self.step(rows, parts)
        return computation / (computation + self.reduction(ranks, network, **how))


CHANGES = {
    f"as it is, {ROWS} rows a core": {},
    "64 rows a core": {"rows": 64},
    f"--accumulate {PARTS}": {"parts": PARTS},
    "16 bits": {"bits": 16},
    "halving, doubling": {"halving": True},
    f"halving, --accumulate {PARTS}": {"halving": True, "parts": PARTS},
}


def table(model, network):
    print(f"\n{network}, α {1e6 * NETWORKS[network][0]:.0f} µs\n")
    print("| ranks | " + " | ".join(CHANGES) + " |\n|---" * 1 + "|---" * len(CHANGES) + "|")
    for ranks in RANKS:
        row = [f"{model.efficiency(ranks, network, **change):.0%}" for change in CHANGES.values()]
        print(f"| {ranks:,} | " + " | ".join(row) + " |")


def speed_up(model, hosts, network):
    """How many times as fast as one host ``hosts`` are that share a batch of FIXED rows."""
    rows = FIXED // CORES
    found = model.step(rows // hosts) + (model.reduction(hosts, network) if hosts > 1 else 0.0)
    return model.step(rows) / found


def table_of_fixed_batch(model):
    print(f"\nA batch of {FIXED:,} rows on hosts of {CORES} cores, times as fast as one host:\n")
    print("| hosts | rows a core | " + " | ".join(NETWORKS) + " |\n|---|---" + "|---" * len(NETWORKS) + "|")
    for hosts in (2, 4, 8, 16, 32, 64):
        row = [f"{speed_up(model, hosts, network):.1f}" for network in NETWORKS]
        print(f"| {hosts} | {FIXED // CORES // hosts} | " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("figure", type=Path)
    options = parser.parse_args()
    measured = json.loads(options.measured.read_text())
    model = Model(measured, measured["nap_s"])
    print(f"{MODEL}: {model.bytes / 1e6:.1f} MB; a step of {ROWS} rows {1e3 * model.step(ROWS):.1f} ms, of which "
          f"{1e3 * model.fixed:.1f} ms do not depend on the rows; l(n) = {1e3 * model.start:.2f} ms + "
          f"{1e9 * model.per_byte:.2f} ms a MB; a nap of {1e3 * model.nap:.2f} ms")  # fmt: skip
    for network in NETWORKS:
        table(model, network)
    table_of_fixed_batch(model)
    curves = {}
    for network in NETWORKS:
        curves[network] = [(ranks, model.efficiency(ranks, network)) for ranks in RANKS]
        curves[f"{network}*"] = [(ranks, model.efficiency(ranks, network, parts=PARTS)) for ranks in RANKS]
    title = f"Predicted efficiency, {ROWS} rows a core; broken: --accumulate {PARTS}"
    draw(options.figure, title, curves, "ranks, one a host", "computation / step", log_across=True)


if __name__ == "__main__":
    main()
