"""The pattern of messages of training, without the training: what :mod:`hosts` runs to judge a network and an MPI.

    mpirun -n 4 python benchmarks/hosts_pattern.py FILE --steps 100

Every rank has the same N float32 parameters.  In a step each of G groups has a gradient, made from the parameters, the
step and the number of the group; a rank has G / ranks neighbouring groups.  The gradients are added in a tree: over the
rank's own groups, and then, for one slice of the parameters, over the ranks, after an Alltoall of the slices.  An
Allgather gives the updated slices to all.  So the parameters have the same bits for 1, 2, 4, 8 ranks.  The first rank
saves them to FILE every few steps; a run whose FILE exists goes on from there.

A rank that waits longer than --patience seconds for the others ends the run.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from mpi4py import MPI


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--parameters", type=int, default=1 << 18)
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--save-every", type=int, default=5)
    parser.add_argument("--patience", type=float, default=10.0)
    options = parser.parse_args()
    world = MPI.COMM_WORLD
    size, rank = world.size, world.rank
    begin, parameters = read(options) if rank == 0 else (None, None)
    begin, parameters = world.bcast((begin, parameters))
    own, slice_ = options.groups // size, parameters.size // size
    received, updated = np.empty((size, slice_), np.float32), np.empty_like(parameters)
    for step in range(begin, options.steps):
        groups = range(rank * own, (rank + 1) * own)
        total = tree([gradient(parameters, step, group) for group in groups])
        wait(world.Ialltoall(total, received), options.patience)
        part = parameters[rank * slice_ : (rank + 1) * slice_] - np.float32(0.1) * tree(list(received))
        wait(world.Iallgather(np.ascontiguousarray(part), updated), options.patience)
        parameters, updated = updated, parameters
        if rank == 0 and (step + 1) % options.save_every == 0:
            save(options.file, step + 1, parameters)
    if rank == 0:
        save(options.file, options.steps, parameters)
        print(f"{options.steps} steps on {size} ranks", flush=True)
    wait(world.Ibarrier(), options.patience)


def gradient(parameters, step, group):
    """The gradient of a group: (N,) float32, which depends on all that it is given."""
    noise = np.random.default_rng([step, group]).random(parameters.size, np.float32)
    return (parameters - noise) * np.float32(1 / 7)


def tree(arrays):
    """The sum of 2^k arrays: of neighbours, then of neighbouring sums."""
    while len(arrays) > 1:
        arrays = [first + second for first, second in zip(arrays[::2], arrays[1::2], strict=True)]
    return arrays[0]


def wait(request, patience):
    """Wait for a collective operation and leave the processor to others meanwhile."""
    begun = time.monotonic()
    while not request.Test():
        if time.monotonic() - begun > patience:
            print(f"rank {MPI.COMM_WORLD.rank} has waited for {patience:g} s", file=sys.stderr, flush=True)
            MPI.COMM_WORLD.Abort(1)
            os._exit(1)  # MPICH's Abort returns if the launcher cannot be reached
        time.sleep(1e-4)


def read(options):
    """The steps that were made, and the parameters after them."""
    if not options.file.exists():
        return 0, np.zeros(options.parameters, np.float32)
    stored = options.file.read_bytes()
    return int.from_bytes(stored[:8], "little"), np.frombuffer(stored[8:], np.float32).copy()


def save(path, step, parameters):
    """Replace the file as a whole."""
    half = path.with_suffix(".half")
    half.write_bytes(step.to_bytes(8, "little") + parameters.tobytes())
    half.replace(path)


if __name__ == "__main__":
    main()
