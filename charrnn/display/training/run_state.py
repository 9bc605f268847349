"""The state of a training run, as its records tell it, and the words in which every display shows it."""

import math
import os
import shlex
from collections.abc import Sequence
from pathlib import Path, PurePath

from charrnn.display.terminal import numbers
from charrnn.display.terminal.curve import Curve
from charrnn.display.terminal.text_width import plain
from charrnn.records import Evaluated, Finished, Record, RolledBack, Sampled, Saved, SmoothedLoss, Started, Step, bits

_USUAL_PLACE = "checkpoints"  # the folder that holds the runs, unless the user names another


Point = tuple[int, bool, float]
"""A step, whether its loss is a validation loss, and the loss in nats per character."""


class RunState:
    """The latest record of each event, the smoothed training loss in nats per character, and the curve of losses.

    ``earlier`` are the losses before a resume, in their order; without them the curve begins at the resume.
    """

    def __init__(self, earlier: Sequence[Point] = ()) -> None:
        self.started: Started | None = None
        self.step: Step | None = None
        self.evaluated: Evaluated | None = None
        self.sampled: Sampled | None = None
        self.saved: Saved | None = None
        self.curve = Curve()
        self._earlier = earlier
        self._smoothed = SmoothedLoss()

    def observe(self, record: Record) -> None:
        """Take in one record, as the attribute with the name of its event."""
        if isinstance(record, Evaluated):
            self.curve.add_validation(record.val_loss)
        if isinstance(record, Step):
            if self.step is None and self.started is not None and self.started.resumed:
                self._draw_earlier(record)
            if math.isfinite(record.loss):
                self._smoothed.add(record.loss)
                self.curve.add(record.progress, self.loss)
        setattr(self, record.event, record)

    def _draw_earlier(self, first: Step) -> None:
        """Begin the curve with the losses before ``first``, the first step after a resume."""
        self.curve = Curve(start=0.0 if self._earlier else first.progress)
        for step, is_validation, loss in self._earlier:
            # By its number: the progress in the log is another one if the run has been made longer since.
            self.curve.progress = first.progress * step / first.step
            if is_validation:
                self.curve.add_validation(loss)
            else:
                self._smoothed.add(loss)
                self.curve.add(self.curve.progress, self.loss)

    @property
    def loss(self) -> float | None:
        """The smoothed training loss, None before the first step."""
        return self._smoothed.value

    @property
    def shown_loss(self) -> float:
        """The smoothed loss; but NaN after a step whose loss is NaN, because the user must see that."""
        return self.step.loss if self.loss is None or math.isnan(self.step.loss) else self.loss


def name(path: str) -> str:
    """The name of a run: the name of its folder."""
    pure = PurePath(path)
    return plain(pure.parent.name if pure.suffix == ".safetensors" else pure.name) or plain(path)


def model(started: Started) -> str:
    """The network in a few words, such as LSTM 2 × 256."""
    return f"{started.cell} {started.layers} × {started.hidden}"


def parameters(started: Started) -> str:
    """The size of the network in a few words: 865 k parameters."""
    return f"{numbers.short(started.parameters)} parameters"


def description(started: Started) -> list[str]:
    """The run in short phrases, the most important ones first."""
    phrases = [numbers.characters(started.vocabulary)]
    if started.embedding is not None:
        phrases.append(f"embedding {started.embedding}")
    if started.heads is not None:
        phrases.append(numbers.attention(started.heads, started.context))
    phrases.append(f"trains on {numbers.short(started.train_characters)}")
    if started.validation_characters:
        phrases.append(f"validates on {numbers.short(started.validation_characters)}")
    if started.test_characters:
        phrases.append(f"keeps {numbers.short(started.test_characters)} for a test")
    phrases.append(f"batch {started.batch_size} × {started.seq_len}")
    if started.time_budget_s is not None:
        phrases.append(f"for {numbers.clock(started.time_budget_s)}")
    elif started.epochs is not None:
        phrases.append(f"{started.epochs:g} epochs")
    elif started.total_steps is not None:
        phrases.append(f"{numbers.count(started.total_steps)} steps")
    phrases.append("1 thread" if started.threads == 1 else f"{started.threads} threads")
    if started.resumed:
        phrases.append(f"resumed at step {numbers.count(started.step)}")
    return phrases


def sample_title(sampled: Sampled) -> str:
    """The step and the temperature of a sample."""
    return f"sample at step {numbers.count(sampled.step)}, temperature {sampled.temperature:g}"


def rollback(record: RolledBack) -> str:
    """The reason for a rollback, and the new state of the run."""
    return (
        f"step {numbers.count(record.step)}: {plain(record.reason)}: back to the weights of step "
        f"{numbers.count(record.to_step)}, the learning rate times {record.rate_scale:g} from here on"
    )


_REASONS = {
    "completed": "Finished",
    "budget": "Finished: the time is used up",
    "patience": "Finished: validation gets no better",
    "interrupted": "Interrupted, and saved",
}


def headline(finished: Finished) -> str:
    """How a run ended."""
    return _REASONS.get(finished.reason, plain(finished.reason))


def facts(finished: Finished, run: RunState) -> list[tuple[str, str]]:
    """The results of a run as names and values."""
    # Without the time that n-grams take at the end: the checkpoint has the same, for `info` and `runs`.
    times = [record.elapsed_s for record in (run.step, run.evaluated) if record is not None]
    found = [
        (
            "trained",
            f"{numbers.count(finished.step)} steps, {finished.epoch:.2f} epochs, "
            f"{numbers.short(finished.characters)} characters in "
            f"{numbers.duration(max(times, default=finished.elapsed_s))}",
        )
    ]
    loss = finished.loss if run.loss is None else run.loss
    if loss is not None:
        found.append(("training", f"{numbers.loss(loss)}  {numbers.bpc(bits(loss))} bits per character"))
    if finished.val_loss is not None:
        text = f"{numbers.loss(finished.val_loss)}  {numbers.bpc(finished.val_bpc)} bits per character"
        best = finished.best_val_loss
        if best is not None and best < finished.val_loss:
            text += f"  (best {numbers.loss(best)}  {numbers.bpc(bits(best))})"
        found.append(("validation", text))
    mixed = finished.mixed_val_loss
    if mixed is not None:
        found.append(("with n-grams", f"{numbers.loss(mixed)}  {numbers.bpc(bits(mixed))} bits per character"))
    if finished.verdict is not None:
        found.append(("verdict", plain(finished.verdict)))
    found.append(("saved in", plain(finished.path)))
    return found


def next_commands(finished: Finished) -> list[str]:
    """Commands that the user may want to run next with this model."""
    model = model_argument(finished.path)
    commands = [f"charrnn sample {model}", f"charrnn inspect {model}"]
    if finished.reason == "interrupted":
        commands.insert(0, resume_command(finished.path))
    return commands


def model_argument(path: str) -> str:
    """What names the model at ``path``, a run's folder or a file, as a CHECKPOINT: the name if it is enough."""
    found = PurePath(path)
    name = found.name.removesuffix(".safetensors")
    # A path goes before a name, and a run before a file.
    is_taken = os.path.lexists(name) or (name != found.name and Path(found.with_name(name)).is_dir())
    return argument(name if str(found.parent) == _USUAL_PLACE and not is_taken else path)


def resume_command(path: str) -> str:
    """The command that goes on with the run in the folder ``path``."""
    folder = PurePath(path)
    out = "" if str(folder.parent) == _USUAL_PLACE else f" --out {argument(str(folder.parent))}"
    return f"charrnn train --resume --name {argument(folder.name)}{out}"


def argument(path: str) -> str:
    """A path as it is typed into a shell."""
    if os.name == "nt":
        return f'"{plain(path)}"' if " " in path else plain(path)
    return shlex.quote(plain(path))
