"""What a run does with its validation part, and the checkpoint of the weights that scored best."""

import contextlib
import math
import time
from collections.abc import Iterator

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.inference.loss import evaluate
from charrnn.inference.sampler import Choice, Sampler
from charrnn.records import Evaluated, bits
from charrnn.training.plan import Clock
from charrnn.training.run import Run

SAMPLE_TEMPERATURE = 0.8


def score(run: Run, clock: Clock) -> tuple[Evaluated, Checkpoint | None] | None:
    """Score the weights, and their average if there is one; with the checkpoint to keep if they are the best so far.

    None, and only that counted, if a loss is no number: finite weights can be too large to add up.
    """
    progress, averaged, begun = run.progress, None, time.monotonic()
    raw = loss = _loss(run)
    if run.is_averaged:
        with _averaged_weights(run):
            averaged = _loss(run)
        loss = min(raw, averaged)
    clock.evaluated(time.monotonic() - begun)
    if not math.isfinite(raw) or not math.isfinite(loss):
        progress.unscored += 1
        return None
    progress.unscored = 0
    progress.elapsed_s = clock.elapsed_s
    progress.val_loss = loss
    improved = progress.best_val_loss is None or loss < progress.best_val_loss
    if improved:
        progress.best_val_loss, progress.best_step = loss, progress.step
    progress.history.append(
        {
            "step": progress.step,
            "epoch": run.epoch,
            "loss": progress.loss,
            "val_loss": loss,
            "elapsed_s": progress.elapsed_s,
        }
    )
    record = Evaluated(
        step=progress.step,
        epoch=run.epoch,
        val_loss=loss,
        val_bpc=bits(loss),
        best_val_loss=progress.best_val_loss,
        improved=improved,
        elapsed_s=progress.elapsed_s,
        raw_loss=None if averaged is None else raw,
        averaged_loss=averaged,
    )
    return record, _best(run, averaged is not None and averaged < raw) if improved else None


def _loss(run: Run) -> float:
    batch, steps = run.windows.batch, run.windows.steps
    return evaluate(run.network, run.validation, int(run.parts.train[-1]), batch, steps).loss


@contextlib.contextmanager
def _averaged_weights(run: Run) -> Iterator[None]:
    """The network with the average of its weights in place of them."""
    flat = run.network.parameters.flat
    raw = flat.copy()
    flat[:] = run.optimizer.slots["ema"]
    run.network.parameters_changed()
    try:
        yield
    finally:
        flat[:] = raw
        run.network.parameters_changed()


def _best(run: Run, averaged: bool) -> Checkpoint:
    """The weights that scored best; with averaging the others lie beside them, as "raw" or as "ema"."""
    raw, average = run.network.parameters.flat, run.optimizer.slots.get("ema")
    if average is None:
        return run.checkpoint()
    return run.checkpoint(average, {"raw": raw}) if averaged else run.checkpoint(raw, {"ema": average})


def sample(run: Run) -> str:
    """A text that the network writes, a function of its weights and the step."""
    prime = np.array([run.vocabulary.line_start])
    sampler = Sampler(run.network, prime, choice=Choice(SAMPLE_TEMPERATURE), seed=run.progress.step)
    text = run.vocabulary.decode(sampler.draw(run.config.sample_length)[:, 0])
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
