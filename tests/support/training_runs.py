"""Tiny training runs for tests: make one, run it, resume it, and compare the results."""

import json

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import METRICS, RunFolder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.network import Network
from charrnn.text.corpus import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import Run, Trainer

TEXT = "the fox said to the heron, (and the heron listened): 12 pies!\n" * 40
VOCABULARY = Vocabulary(sorted(set(TEXT)))
CORPUS = {
    **{"sources": ["fox.txt"], "paths": ["/fox.txt"], "sha256": "x", "characters": 9},
    **{"as_bytes": False, "encoding": "utf-8", "min_count": 1, "max_vocab": 1000},
}


def trainer(path, config, resume=None, threads=1, embedding=None, text=TEXT, diagnose=False):
    ids = VOCABULARY.encode(text).astype(VOCABULARY.dtype)
    cut = len(ids) * 9 // 10
    parts = Parts(ids[:cut], ids[cut:], ids[:0])
    network = Network(ModelConfig(len(VOCABULARY), 20, 2, embedding), seed=config.seed, threads=threads)
    run = Run(network, config, parts, VOCABULARY, CORPUS, resume)
    return Trainer(run, RunFolder(path), diagnose=diagnose)


def run(made, stop_after=None):
    records = []
    for record in made.run():
        made.folder.record(record)
        records.append(record)
        if stop_after is not None and record.event == "step" and record.step == stop_after:
            made.stop()
    return records


CONFIG = TrainConfig(
    seq_len=16, batch_size=4, steps=60, dropout=0.2, ngram_targets=0.0, eval_every=13, sample_every=0, save_every=7
)


def contents(path):
    """Everything in a checkpoint except times; arrays as bytes."""
    checkpoint = Checkpoint.load(path)
    slots = {f"{slot}.{name}": value for slot, named in checkpoint.optimizer.items() for name, value in named.items()}
    state = {f"state.{name}": value for name, value in (checkpoint.state or {}).items()}
    arrays = {**checkpoint.parameters, **slots, **state}
    return (
        {name: value for name, value in checkpoint.counters.items() if name != "elapsed_s"},
        [{name: value for name, value in entry.items() if name != "elapsed_s"} for entry in checkpoint.history],
        checkpoint.training,
        checkpoint.ngrams,
        None if checkpoint.ngram_text is None else checkpoint.ngram_text.tolist(),
        {name: array.tobytes() for name, array in arrays.items()},
    )


def metrics(path):
    """The records of a log without times, and without the records of starts, saves and ends."""
    times, left_out = ("elapsed_s", "eta_s", "chars_per_s"), ("started", "saved", "mixed", "finished", "sealed")
    records = [json.loads(line) for line in (path / METRICS).read_text().splitlines()]
    return [
        {name: value for name, value in record.items() if name not in times}
        for record in records
        if record["event"] not in left_out
    ]


def outcome(path):
    """The results that a stop must not change: the last and the best checkpoint, and the log."""
    return contents(path / "last.safetensors"), contents(path / "best.safetensors"), metrics(path)


def resume(path, config, **options):
    """A trainer that resumes the run in the folder ``path``."""
    return trainer(path, config, resume=RunFolder(path).load_last(print)[1], **options)


def poisoned(made, steps, value=np.nan):
    """Run, and multiply weights by ``value`` after each of ``steps``; yields the records."""
    for record in made.run():
        made.folder.record(record)
        yield record
        if record.event == "step" and record.step in steps:
            made.network.parameters["w_out"][:] *= value
            made.network.parameters_changed()


def run_path(path, config):
    """The last checkpoint of a new run in the folder ``path``."""
    run(trainer(path, config))
    return path / "last.safetensors"
