"""One training step; and, where a step goes wrong, the return to the last good weights."""

import math
import time
from collections.abc import Sequence

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.kernels.cross_entropy import NO_SOFT
from charrnn.network.network import Elsewhere
from charrnn.network.regularisation import Regularisation
from charrnn.records import RolledBack, Step, bits
from charrnn.training import accumulation
from charrnn.training.plan import Clock
from charrnn.training.rollback import KEEP_STEPS, MOST_IN_A_ROW, TOO_LARGE
from charrnn.training.run import Run
from charrnn.training.schedule import learning_rate

LEAST_RATE_SCALE = 2.0**-100  # a checkpoint has a scale above zero


class DivergedError(CharRNNError):
    """The run was rolled back too often in a row: training cannot go on with these settings."""


def train_step(run: Run, clock: Clock, done: float) -> tuple[Step, str | None]:
    """Train on the next window; returns the record of the step, and what went wrong with it, or None.

    ``done`` is the fraction of the run that is done, 0 to 1. A loss that is wrong makes no update.
    """
    counters, network = run.counters, run.network
    begun = time.monotonic()
    x, y = run.windows.window(counters.epoch, counters.window)
    if run.config.no_carry:
        run.state.clear()
    characters = run.windows.targets(counters.epoch, counters.window)
    elsewhere, regular, parts = _elsewhere(run, clock, characters), _regularisation(run, done), run.config.accumulate
    if parts == 1:
        loss = network.loss_and_gradient(x, y, run.state, regular, elsewhere)
    else:
        loss = accumulation.loss_and_gradient(network, x, y, run.state, regular, elsewhere, parts)
    lr = _rate(run, done)
    problem = run.rollback.problem(loss, characters, counters.loss)
    norm = math.nan
    keeps = counters.step > 0 and counters.step % KEEP_STEPS == 0
    if problem is None and keeps:
        problem = run.rollback.problem_of_weights()
    if problem is None:
        if keeps:
            # Keep the weights before the update: this loss shows that they are good. The next ones have no loss yet.
            run.rollback.keep(counters.step)
            counters.setbacks = 0
        norm = run.optimizer.update(network.gradient, lr)
        if not math.isfinite(norm):
            problem = "the gradient is no longer a number"
        elif not run.rollback.weights_are_good():
            problem = TOO_LARGE
    network.parameters_changed()
    if problem is None:
        counters.loss = loss if counters.loss is None else 0.98 * counters.loss + 0.02 * loss
    _advance(run, characters)
    counters.elapsed_s = clock.now.elapsed_s
    done = clock.done(counters.step)
    left_s = run.plan.left_s(done, counters.elapsed_s)
    record = Step(
        step=counters.step,
        epoch=run.epoch,
        characters=counters.characters,
        loss=loss,
        bpc=bits(loss),
        lr=lr,
        grad_norm=norm,
        chars_per_s=clock.trained(characters, time.monotonic() - begun),
        elapsed_s=counters.elapsed_s,
        eta_s=left_s,
        progress=done,
    )
    return record, problem


def _elsewhere(run: Run, clock: Clock, characters: int) -> Elsewhere:
    """The other ranks' parts of a window with ``characters`` targets.

    With the sums, all ranks get the readings of the first rank's clock, and so decide alike after the step.
    """

    def add_up(arrays: Sequence[np.ndarray], loss: float) -> float:
        if run.ranks.size == 1:
            return loss
        total, readings = run.ranks.add_up(arrays, loss, clock.readings())
        clock.agree(readings)
        return total

    return Elsewhere(characters, add_up)


def _regularisation(run: Run, done: float) -> Regularisation:
    config, counters = run.config, run.counters
    soft = NO_SOFT
    if run.soft_targets is not None:
        soft = run.soft_targets.at(run.windows.places(counters.epoch, counters.window)[1:], done)
    return Regularisation(
        config.dropout,
        config.seed,
        counters.step,
        config.variational,
        config.recurrent_dropout,
        config.input_dropout,
        config.label_smoothing,
        config.tar,
        soft,
        run.windows.batch,
        run.windows.rows[0],
    )


def _rate(run: Run, done: float) -> float:
    counters = run.counters
    val_losses = (entry["val_loss"] for entry in counters.history)
    return counters.rate_scale * learning_rate(run.config, counters.step, done, run.epoch, val_losses)


def _advance(run: Run, characters: int) -> None:
    """Count the step and go to the next window; an epoch begins with a state of zeros."""
    counters = run.counters
    counters.step += 1
    counters.characters += characters
    counters.window += 1
    if counters.window == run.windows.count:
        counters.epoch, counters.window = counters.epoch + 1, 0
        run.state.clear()


def roll_back(run: Run, problem: str) -> RolledBack:
    """Restore the last good weights, halve the learning rate and zero the state; the text goes on as before."""
    counters = run.counters
    counters.setbacks += 1  # rollbacks in a row; checkpoints have the counter under this name
    counters.rate_scale = max(counters.rate_scale / 2, LEAST_RATE_SCALE)
    run.rollback.restore_kept()
    run.state.clear()
    return RolledBack(counters.step, run.rollback.step, problem, counters.rate_scale)


def has_diverged(run: Run) -> bool:
    """Whether the run was rolled back too often in a row, so that another rollback would not help either."""
    return max(run.counters.setbacks, run.counters.unscored) >= MOST_IN_A_ROW


def diverged_error(run: Run, problem: str, has_folder: bool) -> DivergedError:
    """The error for a run that has diverged; if it has a folder, its last checkpoint there holds the good weights."""
    counters, config = run.counters, run.config
    best = counters.best_step
    kept = "there is no best checkpoint" if best is None else f"the best checkpoint, of step {best}, is kept"
    kept += f", and --resume goes on from the good weights of step {run.rollback.step}"
    if not has_folder:
        kept = "nothing is kept of a run without a folder"
    clip = f"a smaller --clip (it was {config.clip:g})" if config.clip else "--clip 1 (there was none)"
    return DivergedError(
        f"step {counters.step}: {problem}, {MOST_IN_A_ROW} times in a row although the learning rate was halved; "
        f"{kept}. Better start again "
        f"with --lr {float(f'{config.learning_rate / 10:.1g}'):g} (it was {config.learning_rate:g}) or {clip}"
    )
