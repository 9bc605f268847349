"""What the program computes, to be held against what it computed when ``goldens/results.json`` was written.

!!! ``python tests/support/recorded.py`` WRITES ``goldens/results.json`` ANEW.  Run it ONLY WHERE A CHANGE OF RESULTS IS
MEANT, !!! and say in the change log what changed and why.  A test of same results that fails after a mere change of
names, !!! files or displays has found a mistake: mend the mistake, not the record.

It adds or changes single entries with ``python tests/support/recorded.py NAME...``.
``goldens/checkpoint-v1.safetensors`` is a file that users may have: it is written where it is missing, and else never.

What comes from the kernels, from whole numbers and from sums in one order is the same bits on any processor, and is
recorded as a SHA-256 (or as it is, where it is short).  What goes through NumPy's exp, log and tanh, through BLAS or
LAPACK may differ in its last bits: those numbers are recorded with nine digits and compared with a tolerance.  Whoever
moves or renames things has to follow here in the imports and in the functions below them, and nowhere else.
"""

import dataclasses
import functools
import hashlib
import io
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
from teams import every_thread_works

from charrnn.analysis.baselines import compressions, ngram_losses
from charrnn.analysis.distance import distances
from charrnn.analysis.errors import analyse_errors
from charrnn.analysis.ngrams import probabilities
from charrnn.analysis.novelty import novelty
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.checkpoints.vocabulary_growth import grow
from charrnn.config import DynamicEvaluationConfig, ModelConfig, TrainConfig
from charrnn.display.figures.analyses import distance_figure, errors_figure, saturation_figure
from charrnn.display.figures.heat_map import heat_map
from charrnn.display.figures.svg import to_svg
from charrnn.display.page.page import Page
from charrnn.inference.ensemble import Ensemble
from charrnn.inference.loss import evaluate, losses
from charrnn.inference.sampler import Choice
from charrnn.inspection import history
from charrnn.inspection.ablation import ablate
from charrnn.inspection.arrays import as_npz
from charrnn.inspection.gallery import gallery, scores
from charrnn.inspection.generation import write_clamped
from charrnn.inspection.hypotheses import HYPOTHESES, hypothesis, label_text
from charrnn.inspection.passage import EncodedText
from charrnn.inspection.patterns import inside_match
from charrnn.inspection.reading import read, read_all, read_cells, read_in_parts
from charrnn.inspection.search import find
from charrnn.inspection.similar_places import on_set, similar
from charrnn.model import Model, load
from charrnn.network.network import Network
from charrnn.network.parameters import Parameters
from charrnn.text.corpus import Parts
from charrnn.text.vocabulary import Vocabulary
from charrnn.training import Run, Trainer
from charrnn.training.diagnosis import saturation
from charrnn.training.dynamic_evaluation import evaluate_dynamically

# ---- how the program is reached: nothing below these functions knows a name of it but those of classes and settings


def network(sizes, vocabulary, seed=1, threads=1, **start):
    """A network with starting values; ``sizes`` are hidden, layers and perhaps embedding."""
    return Network(ModelConfig(vocabulary, *sizes), seed=seed, threads=threads, **start)


def trainer(folder, net, config, vocabulary, text, resume=None, diagnose=False):
    """A trainer of ``net`` on the first nine tenths of ``text``, which scores the rest."""
    ids = vocabulary.encode(text).astype(vocabulary.dtype)
    cut = len(ids) * 9 // 10
    corpus = {
        **{"sources": ["a.txt"], "paths": ["/a.txt"], "sha256": "x", "characters": len(ids)},
        **{"as_bytes": vocabulary.is_bytes, "encoding": "utf-8", "min_count": 1, "max_vocab": 1000},
    }
    parts = Parts(ids[:cut], ids[cut:], ids[:0])
    run = Run(net, config, parts, vocabulary, corpus, resume)
    return Trainer(run, RunFolder(Path(folder)), diagnose=diagnose)


def records(made, stop_after=None):
    """Train to the end or to a step; what the run reports."""
    found = []
    for record in made.run():
        made.folder.record(record)
        found.append(record)
        if stop_after is not None and record.event == "step" and record.step == stop_after:
            made.stop()
    return found


def weights(net):
    """Names and arrays of all parameters, in their order."""
    return list(net.parameters.items())


def moments_of(made):
    """By slot (m, v, ema) the names and arrays of what the optimiser remembers."""
    return {slot: list(Parameters(made.network.config, flat).items()) for slot, flat in made.optimizer.slots.items()}


def spoil(net):
    """Make weights something that is no number."""
    net.parameters["w_out"][:] *= np.nan
    net.parameters_changed()


def last_checkpoint(folder):
    return Checkpoint.load(RunFolder(Path(folder)).last)


def best_of(made):
    """The weights, and the others beside them, that the run holds for its best so far."""
    best = Checkpoint.load(made.folder.best)
    return sha(*best.parameters.items(), *(named for slot in best.optimizer.values() for named in slot.items()))


def model_of(checkpoint, threads=1):
    return Model.from_checkpoint(checkpoint, threads)


# ---- results as JSON --------------------------------------------------------------------------------------


def sha(*arrays):
    """SHA-256 of arrays, or of (name, array): names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for each in arrays:
        name, array = each if isinstance(each, tuple) else ("", each)
        array = np.ascontiguousarray(array)
        digest.update(f"{name} {array.dtype.newbyteorder('<').str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def sha_of_text(text):
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")).hexdigest()


def written(text):
    """A text: how it begins, to be seen, and all of it."""
    return {
        "begins": text[:40].decode("latin-1") if isinstance(text, bytes) else text[:40],
        "sha256": sha_of_text(text),
    }


def about(number):
    """A number that may differ in the fourth digit, where whole steps hang on last bits."""
    return {"about": plain(float(number))}


def summary(array):
    """Numbers that tell whether a large array is the same, to within a tolerance."""
    flat = np.asarray(array, np.float64).ravel()
    flat = flat[np.isfinite(flat)]
    weight = (np.arange(len(flat)) * 2654435761 % 2**32) / 2**32  # to tell places apart
    return {
        "shape": list(array.shape),
        "type": array.dtype.name,
        "finite": len(flat),
        "root_mean_square": plain(math.sqrt((flat**2).mean())),
        "mean_size": plain(float((np.abs(flat) * weight).mean())),
        "some": plain(flat[:: max(1, len(flat) // 12)].tolist()),
    }


def plain(value):
    """JSON of a result: objects by field, floats with nine digits, large arrays as what is told of them."""
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {_name(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        if value.size <= 48:
            return plain(value.tolist())
        return summary(value) if value.dtype.kind == "f" else {"shape": list(value.shape), "sha256": sha(value)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else str(value)
    return value


def _name(key):
    return ":".join(map(str, key)) if isinstance(key, tuple) else str(key)


# ---- texts and models -------------------------------------------------------------------------------------

HERE = Path(__file__).parents[1]
RESULTS = HERE / "goldens" / "results.json"
OLD_CHECKPOINT = HERE / "goldens" / "checkpoint-v1.safetensors"
PYTHON = HERE.parent / "checkpoints" / "python.safetensors"

LINES = """\
def path_of(name, folders=("a", "b")):
    # the first folder that has it, or else none
    for number, folder in enumerate(folders, 1):
        if (folder, name) in KNOWN:  # see http://example.org/a?b=1
            return folder + "/" + name
    raise KeyError(f"{name}: not in {len(folders)} folders")

class Table(dict):
    limit = 4096 * (2 + 7)
    def rows(self, of={"x": [1, 2, (3, 4)]}):
        return [row for row in self if row not in of["x"]]

"It is late," said the Fox, "and the grapes (so I hear) are sour."
The Heron answered: "Then why do you look at them? I count 17 [or 18]."
She went away. Nobody spoke! Did they sleep?
<p class="note">A tag, and <b>another</b>, in 3 lines</p>
/* a comment of C */ int main(void) { return 0; } // done
WIDTH, HEIGHT = 80, 25
x = {"one": 1, "two": 2}
""".splitlines(keepends=True)


@functools.cache
def text(characters, seed=0, lines=None):
    """A text of so many characters from the first ``lines``; in all of them every hypothesis holds somewhere."""
    order = np.random.default_rng(seed).integers(lines or len(LINES), size=characters // 8)
    return "".join(LINES[k] for k in order)[:characters]


TEXT = text(1500)
VOCABULARY = Vocabulary(sorted(set("".join(LINES))))
BYTES = Vocabulary(sorted(set("".join(LINES).encode())))

SHORT = {"seq_len": 16, "batch_size": 4, "steps": 60, "eval_every": 13, "sample_every": 0, "save_every": 1000}

# By name: sizes (hidden, layers, embedding), settings beside SHORT's.  No first embedding has a number beyond 3.65, the
# tails of the normal distribution: NumPy takes those from the system's log1p.
# A dropout of 0.27, 0.31 or 0.32 is what the rule for the default gave when the record was made.
RUNS = {
    "adamw": ((20, 2), {"dropout": 0.0}),
    "adamw, hidden 70": ((70, 2), {"dropout": 0.0, "steps": 40}),
    "adamw, hidden 33, embedding 9": ((33, 2, 9), {"dropout": 0.0, "weight_decay": 0.3}),
    "adamw, three layers, batch 7": ((20, 3, 5), {"batch_size": 7, "dropout": 0.1}),
    "adamw, hidden 1, batch 1": ((1, 1), {"batch_size": 1, "dropout": 0.0}),
    "adamw, one step a window": ((20, 1), {"seq_len": 1, "batch_size": 3, "dropout": 0.0}),
    "adamw, five steps a window": ((20, 2, 33), {"seq_len": 5, "batch_size": 3, "dropout": 0.2, "seed": 6}),
    "adam, weight decay, l1": ((20, 2), {"optimizer": "adam", "weight_decay": 1e-3, "l1": 1e-4, "dropout": 0.0}),
    "adam, betas and epsilon": (
        (20, 1),
        {"optimizer": "adam", "beta1": 0.8, "beta2": 0.999, "epsilon": 1e-6, "dropout": 0.27},
    ),
    "sgd": ((20, 2), {"optimizer": "sgd", "dropout": 0.0, "weight_decay": 1e-4}),
    "sgd, nesterov, clip value": (
        (20, 1),
        {"optimizer": "sgd", "nesterov": True, "clip_value": 0.01, "dropout": 0.0, "schedule": "linear"},
    ),
    "rmsprop, unclipped, exponential": (
        (33, 1),
        {"optimizer": "rmsprop", "clip": 0.0, "dropout": 0.0, "schedule": "exponential", "decay_after": 0.5},
    ),
    "adagrad, step": (
        (20, 2, 9),
        {"optimizer": "adagrad", "dropout": 0.0, "schedule": "step", "decay_after": 1, "decay_rate": 0.7},
    ),
    "plateau": (
        (20, 1),
        {"schedule": "plateau", "plateau_patience": 1, "eval_every": 4, "lr": 0.3, "warmup": 0, "dropout": 0.0},
    ),
    "constant, no warm-up": ((20, 1), {"schedule": "constant", "warmup": 0, "dropout": 0.0, "clip_value": 0.02}),
    "dropout": ((20, 2), {"dropout": 0.3}),
    "dropout that suits": ((20, 2), {"steps": 70, "dropout": 0.32}),  # what the rule gave when the record was made
    "variational dropout": ((20, 2, 7), {"dropout": 0.3, "variational": True}),
    "recurrent dropout": ((33, 2), {"dropout": 0.0, "recurrent_dropout": 0.3}),
    "input dropout": ((20, 1), {"dropout": 0.0, "input_dropout": 0.2}),
    "input dropout, embedding": ((20, 1, 6), {"dropout": 0.0, "input_dropout": 0.2}),
    "label smoothing": ((20, 1), {"dropout": 0.0, "label_smoothing": 0.1}),
    "penalty on changes": ((33, 2), {"dropout": 0.1, "tar": 2.0}),
    "all regularisation": (
        (33, 2, 9),
        {
            **{"dropout": 0.2, "variational": True, "recurrent_dropout": 0.1, "input_dropout": 0.1},
            **{"label_smoothing": 0.05, "l1": 1e-5, "ema": 0.9},
        },
    ),
    "ema": ((20, 2), {"dropout": 0.1, "ema": 0.95}),
    "init uniform": ((20, 2), {"dropout": 0.0, "init": "uniform"}),
    "init xavier, forget bias": ((20, 2, 9), {"dropout": 0.0, "init": "xavier", "forget_bias": 2.0}),
    "bytes": ((20, 1), {"dropout": 0.1}),
    "epochs and patience": (
        (20, 1),
        {"steps": None, "epochs": 4, "patience": 3, "eval_every": 5, "lr": 0.1, "dropout": 0.31},
    ),
    "gru": ((70, 2, None, "gru"), {"dropout": 0.2, "recurrent_dropout": 0.1}),
    "gru, embedding": ((33, 1, 9, "gru"), {"dropout": 0.0, "init": "orthogonal"}),
    "rnn": ((70, 2, None, "rnn"), {"dropout": 0.2}),
    "coupled lstm, embedding": ((33, 2, 9, "coupled-lstm"), {"dropout": 0.1}),
}
ON_TWO_THREADS = (
    *("adamw, hidden 70", "adamw, hidden 33, embedding 9", "adamw, three layers, batch 7"),
    *("all regularisation", "sgd, nesterov, clip value", "recurrent dropout", "penalty on changes"),
    *("gru", "rnn"),
)
TRAINING = ("network", "packing", "weight_gradients", "optimizer")  # modules whose work in training is shared out


def settings(**given):
    if given.get("optimizer", "adamw") == "adamw":
        given = {"lr": 4e-3} | given  # the default when the record was made
    return TrainConfig(**({"ngram_targets": 0.0} | SHORT | given))


def prepared(folder, name, threads=1, **options):
    """The trainer of one of ``RUNS``."""
    sizes, given = RUNS[name]
    config, vocabulary = settings(**given), BYTES if name == "bytes" else VOCABULARY
    start = {"init": config.init, "forget_bias": config.forget_bias}
    net = network(sizes, len(vocabulary), config.seed, threads, **start)
    source = TEXT.encode() if vocabulary.is_bytes else TEXT
    return trainer(folder, net, config, vocabulary, source, **options)


def outcome(made, reported):
    """Where a run has come to."""
    steps = [each for each in reported if each.event == "step"]
    counters = made.counters
    return {
        "weights": sha(*weights(made.network)),
        "optimiser": {slot: sha(*named) for slot, named in moments_of(made).items()},
        "best": best_of(made),
        "loss": plain(counters.loss),
        "step": counters.step,
        "characters": counters.characters,
        "epoch": counters.epoch,
        "best_step": counters.best_step,
        "losses": plain([each.loss for each in steps[::10]]),
        "norms": plain([each.grad_norm for each in steps[::10]]),
        "rates": plain([each.lr for each in steps[::10]]),
        "val_losses": plain([entry["val_loss"] for entry in counters.history]),
    }


def trained(name, threads=1, **options):
    with tempfile.TemporaryDirectory() as folder:
        made = prepared(folder, name, threads, **options)
        return outcome(made, records(made))


@functools.cache
def small(name="ema"):
    """A small model, as one of ``RUNS`` left it."""
    with tempfile.TemporaryDirectory() as folder:
        records(prepared(folder, name))
        return last_checkpoint(folder)


@functools.cache
def python_model(threads=1):
    return load(PYTHON, threads=threads)


@functools.cache
def ensemble(threads=1):
    """The model of Python and a small one that knows nothing."""
    large = python_model(threads)
    return Model(Ensemble([large.network, network((33, 1, 7), len(large.vocabulary), 5, threads)]), large.vocabulary)


def looked_into():
    """The model that is looked into: small, so that little hangs on rounding."""
    return model_of(small("dropout that suits"))


# ---- the entries ------------------------------------------------------------------------------------------

ENTRIES = {}


def entry(name):
    """Declare what an entry of the record is computed by."""

    def declare(function):
        assert name not in ENTRIES, name
        ENTRIES[name] = function
        return function

    return declare


def in_two_threads(function, *modules):
    """What ``function`` gives where two threads share the work of each of ``modules``, see :mod:`teams`."""

    def work():
        with every_thread_works() as watch:
            found = function()
        for module in modules:
            assert 2 in watch.workers(module), f"{module}: the second thread had nothing to do"
        return found

    return work


for _run in RUNS:
    ENTRIES[f"train: {_run}"] = functools.partial(trained, _run)
for _run in ON_TWO_THREADS:
    ENTRIES[f"train: {_run}; two threads"] = in_two_threads(functools.partial(trained, _run, 2), *TRAINING)


@entry("train: while being diagnosed")
def _diagnosed():
    with tempfile.TemporaryDirectory() as folder:
        made = prepared(folder, "dropout", diagnose=True)
        reported = records(made)
        said = [each for each in reported if each.event == "diagnosed"]
        return outcome(made, reported) | {"diagnoses": plain(said[::2])}


@entry("train: after a setback")
def _set_back():
    with tempfile.TemporaryDirectory() as folder:
        made, reported, setbacks = prepared(folder, "constant, no warm-up"), [], []
        for record in made.run():
            reported.append(record)
            if record.event == "step" and record.step == 30:
                spoil(made.network)
            if record.event == "rolled_back":
                setbacks.append(plain(record))
        found = outcome(made, [each for each in reported if each.event == "step" and math.isfinite(each.loss)])
        return found | {"setbacks": setbacks}


@entry("train: stopped in mid-epoch and resumed")
def _resumed():
    with tempfile.TemporaryDirectory() as folder:
        before = records(prepared(folder, "all regularisation"), stop_after=28)
        checkpoint = last_checkpoint(folder)
        assert checkpoint.counters["window"] > 0, "not in mid-epoch"
        made = prepared(folder, "all regularisation", resume=checkpoint)
        return outcome(made, before + records(made))


@entry("train: samples along the way")
def _samples_of_a_run():
    with tempfile.TemporaryDirectory() as folder:
        config = settings(dropout=0.1, sample_every=20, sample_length=60)
        net = network((20, 2), len(VOCABULARY))
        reported = records(trainer(folder, net, config, VOCABULARY, TEXT))
        return [plain(each) for each in reported if each.event in ("sampled", "evaluated") and _forget_time(each)]


def _forget_time(record):
    if hasattr(record, "elapsed_s"):
        object.__setattr__(record, "elapsed_s", 0.0)
    return True


# An old checkpoint.


OLD = settings(steps=80, dropout=0.2, ema=0.9, eval_every=9)


def write_old_checkpoint():
    """A run of 23 steps that can go on."""
    with tempfile.TemporaryDirectory() as folder:
        made = trainer(folder, network((10, 2, 5), len(VOCABULARY)), OLD, VOCABULARY, TEXT)
        records(made, stop_after=23)
        OLD_CHECKPOINT.write_bytes(RunFolder(Path(folder)).last.read_bytes())


@entry("old checkpoint: what it holds")
def _old():
    old = Checkpoint.load(OLD_CHECKPOINT)
    timeless = {name: value for name, value in old.counters.items() if name != "elapsed_s"}
    return {
        "model": old.model.to_dict(),
        "symbols": "".join(old.vocabulary.symbols),
        "weights": sha(*old.parameters.items()),
        "optimiser": {slot: sha(*named.items()) for slot, named in old.optimizer.items()},
        "state": sha(*old.state.values()),
        "progress": plain(timeless),
        "learning_rate": plain(old.training.learning_rate),
    }


@entry("old checkpoint: what it writes")
def _old_writes():
    return written(load(OLD_CHECKPOINT, threads=1).sample("def ", 300, 0.7, top_k=20, seed=3))


@entry("old checkpoint: twenty steps more")
def _old_goes_on():
    with tempfile.TemporaryDirectory() as folder:
        old = Checkpoint.load(OLD_CHECKPOINT)
        made = trainer(folder, network((10, 2, 5), len(VOCABULARY), seed=None), OLD, VOCABULARY, TEXT, resume=old)
        return outcome(made, records(made, stop_after=43))


# Writing.


FILTERS = {
    "greedy": Choice(0.0),
    "temperature 0.5": Choice(0.5),
    "temperature 1": Choice(1.0),
    "temperature 1.7": Choice(1.7),
    "top-k": Choice(1.0, top_k=4),
    "top-p": Choice(1.0, top_p=0.8),
    "min-p": Choice(1.0, min_p=0.1),
    "all filters": Choice(1.2, top_k=12, top_p=0.9, min_p=0.02),
}


def drawn(model, choice, streams=1, chunks=(50, 60, 40), seed=7, prime="def "):
    """Texts drawn in several chunks, of which two threads write the second one together."""
    prime = prime.encode() if model.vocabulary.is_bytes else prime
    sampler = model.sampler(prime, streams, choice, seed)
    ids = np.concatenate([sampler.draw(size) for size in chunks])
    return [written(model.vocabulary.decode(column)) for column in ids.T.copy()]


for _filter, _choice in FILTERS.items():
    ENTRIES[f"write: {_filter}"] = functools.partial(lambda choice: drawn(python_model(), choice), _choice)
    ENTRIES[f"write: three texts, {_filter}"] = functools.partial(
        lambda choice: drawn(python_model(), choice, 3), _choice
    )
    ENTRIES[f"write: an ensemble, {_filter}"] = functools.partial(lambda choice: drawn(ensemble(), choice, 2), _choice)

TWO_WRITE = {
    "write: temperature 1": lambda: drawn(python_model(2), Choice(1.0)),
    "write: all filters": lambda: drawn(python_model(2), FILTERS["all filters"]),
    "write: three texts, temperature 1": lambda: drawn(python_model(2), Choice(1.0), 3),
    "write: three texts, all filters": lambda: drawn(python_model(2), FILTERS["all filters"], 3),
    "write: an ensemble, temperature 1": lambda: drawn(ensemble(2), Choice(1.0), 2),
}


for _written, _function in TWO_WRITE.items():
    ENTRIES[f"{_written}; two threads"] = in_two_threads(_function, "sampler")


@entry("write: small models")
def _small_models_write():
    names = ("bytes", "adamw, hidden 1, batch 1", "adamw, hidden 33, embedding 9", "adamw, three layers, batch 7")
    return {name: drawn(model_of(small(name)), FILTERS["all filters"], 2) for name in names}


@entry("write: from the start of a line, and up to a stop")
def _sample_many():
    model = python_model()
    texts = model.sample_many(3, length=200, choice=Choice(0.8), seed=2, stop="\n\n")
    return [written(each) for each in (model.sample(length=200, temperature=0.8, seed=2), *texts)]


# Losses.


@entry("losses: one by one")
def _losses():
    found = {}
    for title, model in (("python", python_model()), ("small", model_of(small())), ("bytes", model_of(small("bytes")))):
        source = text(5000, 3)
        ids = model.encode(source.encode() if model.vocabulary.is_bytes else source)
        found[title] = {
            "losses": sha(losses(model.network, ids)),
            "after_another": sha(losses(model.network, ids[5:], int(ids[4]), batch=3, steps=17)),
            "mean": plain(evaluate(model.network, ids)),
            "of_a_short_text": plain(model.loss(source[:30].encode() if model.vocabulary.is_bytes else source[:30])),
        }
    return found


ENTRIES["losses: of the model of Python"] = lambda: sha(_losses_of_python(1))
ENTRIES["losses: of the model of Python; two threads"] = in_two_threads(lambda: sha(_losses_of_python(2)), "network")


def _losses_of_python(threads):
    model = python_model(threads)
    return losses(model.network, model.encode(text(5000, 3)))


@entry("losses: learning on")
def _online():
    model, small_one = python_model(), model_of(small())
    before = sha(*weights(small_one.network))
    found = {
        "python": plain(evaluate_dynamically(model.network, model.encode(text(700, 4))).network),
        "small": plain(
            evaluate_dynamically(
                small_one.network, small_one.encode(text(3000, 4)), 3, DynamicEvaluationConfig(0.002, 20, 0.01, 1.0)
            ).network
        ),
    }
    assert sha(*weights(small_one.network)) == before
    return found


@entry("losses: an ensemble")
def _ensemble_losses():
    model = ensemble()
    ids = model.encode(text(3000, 5))
    return {"mean": plain(evaluate(model.network, ids)), "each": summary(losses(model.network, ids))}


# What stands beside a model: n-grams, compressors, novelty.


def _counted(vocabulary=VOCABULARY):
    ids = vocabulary.encode(text(9000, 6))
    return ids[:6000], ids[6000:]


@entry("n-grams")
def _ngrams():
    training, scored = _counted()
    found = list(probabilities(training, scored, training[-5:], len(VOCABULARY), 8))
    mean = ngram_losses(training, scored, training[-5:], len(VOCABULARY))
    names = [each.name for each in compressions(training, scored, VOCABULARY)]  # their sizes hang on libraries
    return {"losses": plain(mean), "chances": [summary(each) for each in found], "compressors": names}


@entry("novelty")
def _novelty():
    training, scored = _counted()
    written_ids = python_model().encode(python_model().sample(length=2000, temperature=0.6, seed=9))
    known = python_model().encode(text(6000, 6))
    return [plain(novelty(scored, training)), plain(novelty(written_ids, known, (1, 2, 3, 5, 9)))]


# Looking into a model.


@entry("signals")
def _signals():
    found = {}
    for title, model in (("python", python_model()), ("bytes", model_of(small("bytes")))):
        source = text(700, 7)
        signals = model.activations(source.encode() if model.vocabulary.is_bytes else source)
        expected = signals.pop("log_probabilities")
        found[title] = {name: sha(values) for name, values in signals.items()}
        found[title]["log_probabilities"] = summary(expected)
    return found


@entry("readings")
def _readings():
    model, ids = looked_into(), VOCABULARY.encode(text(5000, 8))
    whole, batch = read(model, ids, "o", 1200, 900), read_all(model, ids, "c", 100, 4000)
    parts = list(read_in_parts(model, ids, "h", 10, 2500, part=700))
    followed = read_cells(model, ids, [(0, 3), (1, 7)], "f", 300, 1500)
    order, chances = whole.guesses(3)
    return {
        "text": written(whole.text),
        "values": sha(whole.values),
        "expected": summary(whole.log_probabilities),
        "surprise": summary(whole.surprise()),
        "guesses": {"ids": sha(order[:, :1].astype(np.int64)), "chances": summary(chances)},
        "in_lanes": {"values": summary(batch.values), "expected": summary(batch.log_probabilities)},
        "in_parts": [[len(part.text), sha(part.values)] for part in parts],
        "tracked": {
            "values": sha(followed.values),
            "surprise": summary(followed.surprise),
            "guesses": sha(followed.guesses[:, 0].astype(np.int64)),
            "chances": summary(followed.chances),
        },
    }


@entry("gallery")
def _gallery():
    found = {}
    for title, model, count in (("python", python_model(), 6), ("small", looked_into(), 5)):
        reading = read(model, model.encode(text(2500, 9)), "c", 200, 2000)
        found[title] = {"cells": plain(gallery(reading, count)), "scores": summary(scores(reading))}
    return found


@entry("hypotheses")
def _hypotheses():
    encoded = EncodedText(VOCABULARY, VOCABULARY.encode(text(6000, 10)))
    named = {each.name: sha(label_text(encoded, each)) for each in HYPOTHESES}
    return named | {"an expression": sha(label_text(encoded, inside_match("[a-z]+_[a-z]+")))}


def _findings(found, count=3):
    """Findings as numbers; the probe rests on states in half precision, so that much hangs on last bits."""
    return {
        **{name: getattr(found, name) for name in ("absent", "characters", "permutations", "stride")},
        "found": [
            {
                **{
                    name: plain(getattr(each, name))
                    for name in ("name", "summary", "is_mask", "base", "effective", "block")
                },
                "scores": summary(np.nan_to_num(each.scores)),
                "p": plain(np.asarray([each.p[cell] for cell in each.ranked(count)])),
                "p_of_all": plain(np.asarray([each.p_of_all[cell] for cell in each.ranked(count)])),
                "best": plain(each.ranked(count)),
                "probe": each.probe
                and {"score": about(each.probe.score), "cell": about(each.probe.cell), "places": each.probe.places},
            }
            for each in found.found
        ],
    }


@entry("find: all hypotheses")
def _find():
    model = looked_into()
    return _findings(find(model, model.encode(text(8000, 11)), HYPOTHESES, permutations=19, seed=3))


def _find_python(threads=1):
    model = python_model(threads)
    asked = [hypothesis("quotes"), hypothesis("brackets"), hypothesis("indent"), inside_match("[0-9]+")]
    return _findings(find(model, model.encode(text(5000, 12)), asked, permutations=19, signal="h", with_probe=False))


ENTRIES["find: in the model of Python"] = _find_python


@entry("find: in a long text")
def _find_long():
    """Long enough for blocks that last as long as the labels do."""
    model = looked_into()
    asked = [hypothesis("quotes"), inside_match("(?s)class.{100}")]
    return _findings(find(model, model.encode(text(60_000, 23)), asked, permutations=9, with_probe=False))


ENTRIES["find: in the model of Python; two threads"] = in_two_threads(lambda: _find_python(2), "network", "histograms")


@entry("ablation: with a mask")
def _ablate_masked():
    model = looked_into()
    ids = model.encode(text(6000, 13))
    mask = label_text(EncodedText(model.vocabulary, ids), hypothesis("quotes"))
    found = ablate(model.network, ids, [(0, 3), (1, 7)], "mean", mask, controls=3, seed=1)
    return _ablation(found)


@entry("ablation: at zero, at a value and at the mean")
def _ablate():
    model = looked_into()
    ids = model.encode(text(4000, 14))
    return [_ablation(ablate(model.network, ids, [(1, 5)], held, controls=4, seed=2)) for held in (0.0, -1.5, "mean")]


@entry("ablation: in the model of Python")
def _ablate_python():
    model = python_model()
    ids = model.encode(text(3000, 15))
    mask = label_text(EncodedText(model.vocabulary, ids), hypothesis("comment"))
    return _ablation(ablate(model.network, ids, [(1, 37), (1, 5)], 0.0, mask, controls=2, most=1200, most_compared=600))


def _ablation(found):
    recorded_as = {"mean_inside": "on", "mean_outside": "off", "controls": "rivals"}
    whole = {recorded_as.get(name, name): value for name, value in plain(found).items()}
    whole["rank"], whole["masked"] = found.rank, found.masked
    whole["symbols"] = [sorted([s.id, s.inside, s.count] for s in found.symbols), whole["symbols"][:4]]
    return whole


@entry("ablation: texts written with cells held")
def _held():
    found = []
    for model, held in (
        (looked_into(), {(0, 3): 1.0, (1, 7): -0.5}),
        (python_model(), {(1, 37): 0.0}),
        (looked_into(), {}),
    ):
        prime = model.encode("def ")
        samples = write_clamped(
            model, held, prime, texts=3, length=200, choice=Choice(0.8), seed=4, hypothesis=hypothesis("quotes")
        )
        found.append(
            {
                "ids": sha(samples.ids),
                "begins": model.vocabulary.decode(samples.ids[0][:40].copy()),
                "share": plain(samples.share_inside),
                "runs": plain(samples.runs_per_1000),
                "length": plain(samples.run_length),
                "rate": plain(samples.rate(3)),
            }
        )
    return found


@entry("similar places")
def _similar():
    found = {}
    for title, model, threshold in (("python", python_model(), 0.4), ("small", looked_into(), 0.2)):
        source = text(6000, 16)
        ids = model.encode(source)
        start = source.index('"x"', 500)
        wanted = on_set(model.network, ids, start, start + 3, threshold)
        found[title] = {
            "span": [wanted.start, wanted.stop],
            "cells": plain(wanted.cells),
            "above": plain(wanted.above.tolist()),
            "values": plain(wanted.values.tolist()),
            "places": plain(similar(model.network, ids, wanted, 8)),
        }
    return found


@entry("saturation")
def _saturation():
    model = python_model()
    found = saturation(model.network, model.encode(text(3000, 17)))
    exact = {name: [sha(found.low[name]), sha(found.high[name])] for name in "ifog"}
    return {
        "characters": found.characters,
        "exact": exact,
        "tanh_c": [summary(found.low["tanh_c"]), summary(found.high["tanh_c"])],
    }


@entry("history")
def _history():
    with tempfile.TemporaryDirectory() as folder:
        config = settings(dropout=0.0, sample_every=6, sample_length=30, snapshots=True, lr=0.02, warmup=5)
        records(trainer(folder, network((20, 2), len(VOCABULARY)), config, VOCABULARY, TEXT))
        training, validation = history.losses(Path(folder))
        ids = VOCABULARY.encode(text(1500, 18))
        reading, grown = history.cells_at_snapshots(Path(folder), ids, count=3, threads=1)
        named, of_gate = history.cells_at_snapshots(Path(folder), ids, [(0, 3), (1, 7)], signal="f", threads=1)
        return {
            "moments": plain(history.logged_samples(Path(folder))),
            "losses": [summary(training), plain(validation)],
            "text": written(reading.text),
            "gallery": [[each.step, plain(each.cells), summary(each.values), plain(each.scores)] for each in grown],
            "gates": [[each.step, sha(each.values), plain(each.scores)] for each in of_gate],
            "expected": summary(named.log_probabilities),
        }


@entry("new characters")
def _grow():
    grown = grow(small(), Vocabulary([*small().vocabulary.symbols, "é", "ж"]), 3)
    fixed = {"weights": sha(*((name, value) for name, value in grown.parameters.items() if name.startswith("w_hh")))}
    return fixed | {name: summary(value) for name, value in grown.parameters.items()}


# Analyses and what is drawn.


def _mistakes(model):
    _, scored = _counted(model.vocabulary)
    training = model.encode(text(4000, 6, 9))
    found = analyse_errors(model, scored, training, training[-500:])
    return found, {
        "characters": found.characters,
        "errors": found.errors,
        "oracles": [
            {
                **{"group": each.group, "name": each.name},
                **{"share": each.errors / max(found.errors, 1), "loss_share": each.loss / found.loss},
            }
            for each in found.shares
        ],
    }


def _distances(model):
    training, scored = _counted(model.vocabulary)
    found = distances(model, scored, training, training[-500:])
    return found, {
        "order": found.order,
        "kinds": {kind: [dataclasses.asdict(each) for each in bins] for kind, bins in found.kinds.items()},
    }


@entry("analyses: errors")
def _errors():
    found, report = _mistakes(python_model())
    return {"numbers": plain(found), "figure": sha_of_text(to_svg(errors_figure(report)))}


@entry("analyses: distance")
def _distance():
    found, report = _distances(ensemble())
    return {"numbers": plain(found), "figure": sha_of_text(to_svg(distance_figure(report)))}


@entry("figures: saturation")
def _saturation_figure():
    model = looked_into()
    found = saturation(model.network, model.encode(text(2000, 19)))
    layers = [
        {
            "layer": layer,
            "low": {name: shares[layer] for name, shares in found.low.items()},
            "high": {name: shares[layer] for name, shares in found.high.items()},
        }
        for layer in range(2)
    ]
    return sha_of_text(to_svg(saturation_figure(layers, model.network.cell.gates)))


@entry("figures: a reading")
def _heat_maps():
    model, names = looked_into(), ["0:3", "1:7"]
    ids = model.encode(text(900, 20))
    told, gate = read(model, ids, "h", 100, 400), read(model, ids, "f", 100, 400)
    values = np.stack([told.cell(0, 3), told.cell(1, 7)], axis=1)
    surprise = told.surprise()[:, None] / 8
    return {
        "one": sha_of_text(to_svg(heat_map(told.text, names[:1], values[:, :1], "cell 0:3"))),
        "two": sha_of_text(to_svg(heat_map(told.text, names, values, "cells 0:3, 1:7", dark=True, columns=60))),
        "gate": sha_of_text(to_svg(heat_map(gate.text, names[:1], gate.cell(0, 3)[:, None], "f", ("0", "1"), 0.0))),
        "surprise": sha_of_text(to_svg(heat_map(told.text, ["surprise"], surprise, "surprise", ("0 bits", "8"), 0.0))),
    }


@entry("figures: a page")
def _page():
    model = looked_into()
    ids = model.encode(text(900, 21))
    found = {}
    for signal in ("h", "f"):
        tracks = read_cells(model, ids, [(0, 3), (1, 7), (1, 0)], signal, 100, 500)
        page = Page("small", "a text", model.vocabulary.symbols, tracks, ["0.5", ""], 100, signal == "f")
        found[signal] = sha_of_text(page.html())
    return found


@entry("figures: arrays")
def _arrays():
    model = looked_into()
    reading = read_all(model, model.encode(text(900, 22)), "h", 100, 500)
    found = {}
    for title, cells in (("all", None), ("some", [(1, 7), (0, 3)])):
        with np.load(io.BytesIO(as_npz(reading, model.vocabulary, cells, 100))) as arrays:
            found[title] = {
                name: summary(arrays[name]) if name in ("log_probabilities", "surprise") else sha(arrays[name])
                for name in sorted(arrays.files)
                if arrays[name].dtype.kind != "U"
            } | {"signal": str(arrays["signal"])}
    return found


# By entry the one that must have the same results.
SAME = {
    **{name: name.removesuffix("; two threads") for name in ENTRIES if name.endswith("; two threads")},
    "train: stopped in mid-epoch and resumed": "train: all regularisation",
    "train: while being diagnosed": "train: dropout",
}


# ---- the record -------------------------------------------------------------------------------------------


def recorded():
    """The record: by entry what was computed."""
    return json.loads(RESULTS.read_text("utf-8"))


def main(names):
    if not OLD_CHECKPOINT.exists():
        write_old_checkpoint()
    found = recorded() if names else {}
    found |= {name: ENTRIES[name]() for name in names or ENTRIES}
    lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in ENTRIES if name in found]
    RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
