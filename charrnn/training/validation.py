"""Evaluation on the validation part, the checkpoint of the best weights, and samples of what the model writes."""

import math
import time

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import SAMPLE_TEMPERATURE
from charrnn.inference.loss import evaluate
from charrnn.inference.sampler import Choice, Sampler
from charrnn.records import Evaluated, bits
from charrnn.training.plan import Clock
from charrnn.training.rollback import restored_weights
from charrnn.training.run import Run


def validate(run: Run, clock: Clock) -> tuple[Evaluated, Checkpoint | None] | None:
    """Score the weights, and their moving average if there is one, on the validation part.

    Returns the record, and the checkpoint to save if the loss is the best so far. If a loss is not finite, returns None
    and only counts that: finite weights can still be so large that a sum overflows.
    """
    counters, averaged, begun = run.counters, None, time.monotonic()
    raw = loss = _loss(run)
    if run.is_averaged:
        with restored_weights(run.network):
            run.network.parameters.flat[:] = run.optimizer.slots["ema"]
            run.network.parameters_changed()
            averaged = _loss(run)
        loss = min(raw, averaged)
    clock.evaluated(time.monotonic() - begun)
    if not math.isfinite(raw) or not math.isfinite(loss):
        counters.unscored += 1
        return None
    counters.unscored = 0
    counters.elapsed_s = clock.now.elapsed_s
    counters.val_loss = loss
    improved = counters.best_val_loss is None or loss < counters.best_val_loss
    if improved:
        counters.best_val_loss, counters.best_step = loss, counters.step
    counters.history.append(
        {
            "step": counters.step,
            "epoch": run.epoch,
            "loss": counters.loss,
            "val_loss": loss,
            "elapsed_s": counters.elapsed_s,
        }
    )
    record = Evaluated(
        step=counters.step,
        epoch=run.epoch,
        val_loss=loss,
        val_bpc=bits(loss),
        best_val_loss=counters.best_val_loss,
        improved=improved,
        elapsed_s=counters.elapsed_s,
        raw_loss=None if averaged is None else raw,
        averaged_loss=averaged,
    )
    average_is_better = averaged is not None and averaged < raw
    return record, _best_checkpoint(run, average_is_better) if improved else None


def _loss(run: Run) -> float:
    """The mean loss on the validation part, which the ranks share."""
    batch, steps = run.windows.batch, run.windows.steps
    before, carry = int(run.parts.train[-1]), not run.config.no_carry
    ranks, parts = run.ranks, run.config.accumulate
    shared = {} if ranks.size * parts == 1 else {"ranks": ranks, "parts": parts}
    return evaluate(run.network, run.validation, before, batch, steps, carry=carry, **shared).loss


def _best_checkpoint(run: Run, average_is_better: bool) -> Checkpoint:
    """The better of the raw and the averaged weights as the model; the others beside it, in the slot "raw" or "ema"."""
    raw, average = run.network.parameters.flat, run.optimizer.slots.get("ema")
    if average is None:
        return run.checkpoint()
    return run.checkpoint(average, {"raw": raw}) if average_is_better else run.checkpoint(raw, {"ema": average})


def sample(run: Run) -> str:
    """A text that the network writes; it depends only on the weights, the settings and the number of the step."""
    prime = np.array([run.vocabulary.line_start])
    sampler = Sampler(run.network, prime, choice=Choice(SAMPLE_TEMPERATURE), seed=run.counters.step)
    text = run.vocabulary.decode(sampler.draw(run.config.sample_length)[:, 0])
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else text
