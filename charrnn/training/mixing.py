"""The end of a run: n-grams learn the training text, and are mixed with the best weights."""

import time
from collections.abc import Callable

from charrnn.checkpoints.description import NgramSettings
from charrnn.checkpoints.run_store import RunStore
from charrnn.inference.loss import evaluate
from charrnn.inference.mixture import Mixture, fit_weights
from charrnn.inference.ngrams import SECONDS_A_SYMBOL, Ngrams, most_symbols
from charrnn.records import Mixed, ProgressCallback
from charrnn.training.rollback import restored_weights
from charrnn.training.run import Run

BUDGET_SHARE = 0.03  # of a time budget: learning may take this much
TRAINING_CHARACTERS = 50_000  # of the training part are scored, without dropout
DECIMALS = 9  # of losses of mixtures: the last bits of a logarithm of doubles differ from processor to processor


class StoppedError(Exception):
    """The user has asked the run to end."""


def learnt_characters(run: Run) -> int:
    """How many characters, the last ones of the training part, the n-grams of a run learn."""
    budget = run.config.time_budget
    return min(most_symbols(None if budget is None else BUDGET_SHARE * budget), len(run.parts.train))


def lacks_ngrams(run: Run, folder: RunStore) -> bool:
    """Whether n-grams still have to be mixed into the best checkpoint."""
    return run.is_mixed and run.counters.best_step is not None and folder.load_best().ngrams is None


def mixing_s(run: Run, evaluation_s: float) -> float:
    """An estimate of the seconds that :func:`mix` takes: two evaluations, and a part of a third to fit the weights."""
    return learnt_characters(run) * SECONDS_A_SYMBOL + 3 * evaluation_s if run.is_mixed else 0.0


def _training_loss(run: Run, progress: ProgressCallback) -> float:
    """The network's loss on the end of the training part, in windows like those of the validation."""
    how = {"carry": False, "steps": run.windows.steps} if run.config.no_carry else {}
    return evaluate(run.network, run.parts.train[-TRAINING_CHARACTERS:], progress=progress, **how).loss


def mix(run: Run, folder: RunStore, is_stopped: Callable[[], bool]) -> Mixed | None:
    """Mix n-grams with the best weights, and save both as the best checkpoint.

    Returns the record; None if nothing was mixed because ``is_stopped`` said so.

    Raises:
        CheckpointError: the best checkpoint cannot be read or written.
    """
    begun = time.monotonic()

    def progress(done: int, total: int) -> None:
        if is_stopped():
            raise StoppedError

    best, ids = folder.load_best(), run.parts.train
    text, before = ids[len(ids) - learnt_characters(run) :].astype("int32"), int(ids[-1])
    ngrams = Ngrams(len(run.vocabulary))
    try:
        with restored_weights(run.network):
            run.network.set_parameters(best.parameters)
            ngrams.learn(text, progress)
            weights, ngram_loss = fit_weights(run.network, ngrams, run.validation, before, progress)
            mixture = Mixture(run.network, ngrams, weights)
            loss = evaluate(mixture, run.validation, before, progress=progress).loss
            training_loss = _training_loss(run, progress)
    except StoppedError:
        return None
    best.ngrams, best.ngram_text = NgramSettings(ngrams.order, *weights), text
    folder.save_best(best)
    return Mixed(
        step=run.counters.step,
        val_loss=run.counters.best_val_loss,
        mixed_val_loss=round(loss, DECIMALS),
        ngram_val_loss=round(ngram_loss, DECIMALS),
        training_loss=training_loss,
        characters=len(text),
        network_weight=weights[0],
        ngram_weight=weights[1],
        elapsed_s=time.monotonic() - begun,
    )
