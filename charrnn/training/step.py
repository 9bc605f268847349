"""One step of a run: a window is read and learnt from, or, when something is wrong, the last good weights come back."""

import math
import time

import numpy as np

from charrnn.errors import CharRNNError
from charrnn.network.regularisation import Regularisation
from charrnn.records import RolledBack, Step, bits
from charrnn.training.plan import Clock
from charrnn.training.rollback import IN_A_ROW, SNAPSHOT_STEPS
from charrnn.training.run import Run
from charrnn.training.schedule import learning_rate


class DivergedError(CharRNNError):
    """The loss or the gradient is no longer a number."""


def update(run: Run, clock: Clock, part: float) -> tuple[Step, str | None]:
    """One update, or none and what is wrong; ``part`` of the run, 0 to 1, is done."""
    progress, network, optimizer = run.progress, run.network, run.optimizer
    begun = time.monotonic()
    x, y = run.windows.window(progress.epoch, progress.window)
    loss = network.loss_and_gradient(x, y, run.state, _regularisation(run))
    lr = _rate(run, part)
    characters = int(np.count_nonzero(y >= 0))
    trouble = run.guard.trouble(loss, characters, progress.loss)
    norm = math.nan
    if trouble is None:
        if progress.step and progress.step % SNAPSHOT_STEPS == 0:
            # Before the update: this loss speaks for these weights, none yet for those to come.
            run.guard.keep(progress.step)
            progress.setbacks = 0
        norm = optimizer.update(network.gradient, lr)
        if not math.isfinite(norm):
            trouble = "the gradient is no longer a number"
        elif not run.guard.has_numbers():
            trouble = "the weights are no longer numbers"
    network.parameters_changed()
    if trouble is None:
        progress.loss = loss if progress.loss is None else 0.98 * progress.loss + 0.02 * loss
    _advance(run, characters)
    progress.elapsed_s = clock.elapsed_s
    done = clock.done(progress.step)
    record = Step(
        step=progress.step,
        epoch=run.epoch,
        characters=progress.characters,
        loss=loss,
        bpc=bits(loss),
        lr=lr,
        grad_norm=norm,
        chars_per_s=clock.read(characters, time.monotonic() - begun),
        elapsed_s=progress.elapsed_s,
        eta_s=progress.elapsed_s * (1 - done) / done if done > 0 else None,
        progress=done,
    )
    return record, trouble


def _regularisation(run: Run) -> Regularisation:
    config = run.config
    return Regularisation(
        config.dropout,
        config.seed,
        run.progress.step,
        config.variational,
        config.recurrent_dropout,
        config.input_dropout,
        config.label_smoothing,
    )


def _rate(run: Run, part: float) -> float:
    progress = run.progress
    val_losses = (entry["val_loss"] for entry in progress.history)
    return progress.rate_scale * learning_rate(run.config, progress.step, part, run.epoch, val_losses)


def _advance(run: Run, characters: int) -> None:
    """On to the next window; an epoch begins with nothing remembered."""
    progress = run.progress
    progress.step += 1
    progress.characters += characters
    progress.window += 1
    if progress.window == run.windows.count:
        progress.epoch, progress.window = progress.epoch + 1, 0
        run.state.clear()


def roll_back(run: Run, trouble: str) -> RolledBack:
    """Back to the last good weights with half the rate and nothing remembered, and on with the text from there."""
    progress = run.progress
    progress.setbacks += 1
    progress.rate_scale /= 2
    run.guard.go_back()
    run.state.clear()
    return RolledBack(progress.step, run.guard.step, trouble, progress.rate_scale)


def is_beyond_help(run: Run) -> bool:
    """Whether the weights came back so often in a row that it is no use to go on."""
    return max(run.progress.setbacks, run.progress.unscored) >= IN_A_ROW


def diverged(run: Run, trouble: str) -> DivergedError:
    """What to say of a run that is beyond help; its last checkpoint has the good weights."""
    progress, config = run.progress, run.config
    best = progress.best_step
    kept = "there is no best checkpoint" if best is None else f"the best checkpoint, of step {best}, is kept"
    clip = f"a smaller --clip (it was {config.clip:g})" if config.clip else "--clip 1 (there was none)"
    return DivergedError(
        f"step {progress.step}: {trouble}, {IN_A_ROW} times in a row though the learning rate was halved; "
        f"{kept}, and --resume goes on from the good weights of step {run.guard.step}. Better start again "
        f"with --lr {float(f'{config.learning_rate / 10:.1g}'):g} (it was {config.learning_rate:g}) or {clip}"
    )
