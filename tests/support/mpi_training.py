"""Trains the runs of :data:`RUNS` on all ranks of MPI: ``mpirun -n N python mpi_training.py FOLDER``.

The runs take turns with the two ways in which ranks add: in memory that they share, and by messages.
"""

import dataclasses
import sys
from pathlib import Path

from training_runs import CONFIG, CORPUS, TEXT, VOCABULARY

from charrnn.checkpoints.run_folder import ReadOnlyRun, RunFolder
from charrnn.config import ModelConfig
from charrnn.network.network import Network
from charrnn.text.corpus import Parts
from charrnn.training import Run, Trainer

SHARED = dataclasses.replace(CONFIG, batch_size=8, groups=8, steps=24, eval_every=10, save_every=9)


def _model(*sizes, **kind):
    return ModelConfig(len(VOCABULARY), *sizes, **kind)


def _config(**changes):
    return dataclasses.replace(SHARED, **changes)


RUNS = {
    "lstm": (_model(20, 2), _config(ema=0.9)),
    "gru": (_model(21, 2, 5, cell="gru"), _config(optimizer="sgd", nesterov=True, beta1=0.9, variational=True)),
    "rnn": (_model(17, 1, cell="rnn"), _config(optimizer="rmsprop", recurrent_dropout=0.2, input_dropout=0.1)),
    "transformer": (
        _model(24, 2, cell="transformer", heads=2, context=16),
        _config(optimizer="adam", label_smoothing=0.1),
    ),
    "coupled": (
        _model(20, 2, cell="coupled-lstm"),
        _config(no_carry=True, schedule="plateau", plateau_patience=1, tar=1.0),
    ),
    "taught": (_model(20, 1, 4), _config(ngram_targets=0.3)),
}


def train(folder, name, ranks):
    """Train one of the runs in a folder of its name."""
    model, config = RUNS[name]
    ids = VOCABULARY.encode(TEXT).astype(VOCABULARY.dtype)
    cut = len(ids) * 9 // 10
    parts = Parts(ids[:cut], ids[cut:], ids[:0])
    network = Network(model, seed=config.seed, threads=1)
    run_folder = (RunFolder if ranks.is_first else ReadOnlyRun)(Path(folder, name))
    trainer = Trainer(Run(network, config, parts, VOCABULARY, CORPUS, ranks=ranks), run_folder)
    ranks.require_same(trainer.facts)
    for record in trainer.run():
        run_folder.record(record)


def main(folder):
    from mpi4py import MPI

    from charrnn.training import mpi

    ways = {mpi._SharedMemory: 0, mpi._Messages: 0}
    for number, name in enumerate(RUNS):
        ranks = mpi.MPIRanks(MPI.COMM_WORLD)
        assert ranks._on_one_host
        ranks._on_one_host = number % 2 == 0
        train(folder, name, ranks)
        ways[type(ranks._of_gradient)] += 1
    if MPI.COMM_WORLD.Get_rank() == 0:
        counts = " ".join(f"{way.__name__} {count}" for way, count in ways.items())
        sys.stdout.write(f"{MPI.COMM_WORLD.Get_size()} ranks, {counts}\n")


if __name__ == "__main__":
    main(sys.argv[1])
