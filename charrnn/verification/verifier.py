"""Trains segments of a run again, and says which of them are what the run claims."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.description import Description
from charrnn.checkpoints.fingerprint import fingerprint
from charrnn.checkpoints.run_folder import load_checkpoint
from charrnn.checkpoints.run_names import BEST, LAST
from charrnn.checkpoints.run_store import Warn
from charrnn.checkpoints.snapshots import KEPT
from charrnn.checkpoints.vocabulary_growth import grow
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.network.network import Network
from charrnn.text.corpus import Corpus, Parts
from charrnn.training import memory
from charrnn.training.run import Run, prepare_kernels
from charrnn.training.teachers import Teachers
from charrnn.training.trainer import Trainer
from charrnn.verification.comparing import as_resumed, differing_checkpoint, differing_tensors
from charrnn.verification.history import STARTED, Entry, History, Segment
from charrnn.verification.replay import DifferenceError, ReplayStore, UnverifiableError, progress_of, train_again

_KEPT_SLOT = "kept"


class StoppedError(Exception):
    """The user has asked to stop."""


@dataclass(frozen=True)
class Outcome:
    """What training a segment again has shown.

    ``difference`` says how it differs, ``reason`` why it cannot be trained again here; both are None if it is equal.
    """

    segment: Segment
    difference: str | None = None
    reason: str | None = None
    seconds: float = 0.0

    @property
    def is_equal(self) -> bool:
        """Whether the segment is what the run claims."""
        return self.difference is None and self.reason is None


class Verifier:
    """Trains segments of a run again.

    Args:
        history: of the run.
        corpus: the text of the run.
        threads: how many to use; None for all that this process may use.
        any_program: whether to try segments that another version of the program, NumPy or Numba has trained.
        warn: called with a line about a damaged file.

    Attributes:
        is_stopped: set it to end the training after its step.
        progress: called after every step that was trained.
    """

    def __init__(self, history: History, corpus: Corpus, threads: int | None, any_program: bool, warn: Warn):
        self._history, self._corpus, self._threads, self._warn = history, corpus, threads, warn
        self._any_program = any_program
        self._soft_targets: dict[tuple, Any] = {}  # what n-grams or teachers expect, which takes long to find
        self._best: Checkpoint | None = None
        self.is_stopped = False
        self.progress: Callable[[], None] = lambda: None

    def reason_against(self, segment: Segment) -> str | None:
        """Why a segment cannot be trained again here, or None: another program or text."""
        start = self._history.start(segment)
        if start.training is None or not start.corpus:
            return "its checkpoint has only weights"
        if not self._any_program and (problem := other_program(start)) is not None:
            return problem
        if start.corpus["sha256"] != self._corpus.sha256:
            return f"trained on another text, of the SHA-256 {start.corpus['sha256'][:12]}…"
        return None

    # ---- the first weights ------------------------------------------------------------------------------

    def check_start(self) -> Outcome:
        """Compare the checkpoint of step 0 with the first weights that the seed or the model before it gives."""
        segment = Segment(0, 0)
        if (reason := self.reason_against(segment)) is not None:
            return Outcome(segment, reason=reason)
        kept = Checkpoint.load(self._history.folder.kept.path(0))
        try:
            run = self._begun(kept)
        except UnverifiableError as error:
            return Outcome(segment, reason=str(error))
        found = run.full_checkpoint()
        run.network.team.close()
        return Outcome(
            segment, differing_checkpoint(f"{KEPT}/00000000.safetensors", kept, found, True, not self._any_program)
        )

    def _begun(self, about: Description) -> Run:
        """The run before its first step, made from the seed or from the model that it was begun with.

        Raises:
            UnverifiableError: that model is not there any more.
        """
        config, source = about.training, about.corpus.get("init_from")
        self._prepare(about)
        network = Network(about.model, config.seed, self._threads, config.init, config.forget_bias)
        if source:
            network.set_parameters(self._source(Path(source), about).parameters)
        return Run(network, config, self._parts(config), about.vocabulary, about.corpus)

    def _source(self, path: Path, about: Description) -> Checkpoint:
        try:
            source = load_checkpoint(path, warn=self._warn)
            if len(source.vocabulary) != len(about.vocabulary):
                source = grow(source, about.vocabulary, about.training.seed)
        except CharRNNError as error:
            raise UnverifiableError(f"the run was begun with the weights of a model: {error}") from None
        if source.model != about.model:
            raise UnverifiableError(f"{path}: not the model that the run was begun with")
        return source

    # ---- a segment --------------------------------------------------------------------------------------

    def check(self, segment: Segment) -> Outcome:
        """Train a segment again, and compare it.

        Raises:
            StoppedError: ``is_stopped`` was set.
            CharRNNError: a file cannot be read, or there is not enough memory.
        """
        begun = time.monotonic()
        difference = reason = None
        try:
            self._check(segment)
        except DifferenceError as error:
            difference = str(error)
        except UnverifiableError as error:
            reason = str(error)
        return Outcome(segment, difference, reason, time.monotonic() - begun)

    def _check(self, segment: Segment) -> None:
        self._go_on()
        history = self._history
        end = self._end(segment)
        if segment.is_end:
            origin, run = segment.last, self._resumed(history.folder.last)
            run.config = replace(run.config, ngram_targets=0.0)  # there are no steps that they could teach
        else:
            is_full = segment.to_last or any(map(_is_kept, end.optimizer))
            if segment.to_last and not history.has_last_good_after(segment):
                # Weights from before the segment: the segment that they come from is compared with them.
                is_full, own = False, {slot: end.optimizer[slot] for slot in end.optimizer if not _is_kept(slot)}
                end = replace(end, optimizer=own)
            origin = self._origin(segment, end.counters["kept_step"] if is_full else segment.last)
            path = None if origin is None else history.folder.kept.path(origin)
            run = self._begun(history.start(segment)) if path is None else self._resumed(path)
        first = origin or 0
        store = ReplayStore(history.folder, self._best_checkpoint(segment), not self._any_program)
        if not segment.is_end:
            self._teach(run, store)
        entries = history.entries(first, segment.last)
        if origin is None:
            _require_one_length(entries)
        found = train_again(run, store, entries, segment.last, self._done(first), self._step)
        run.network.team.close()
        if found is not None:
            self._compare(segment, end, found, is_full)
            if history.has_last_good_of_last(segment):
                self._compare_last_good(found)
        self._require_best(segment, store)

    def _compare_last_good(self, found: Checkpoint) -> None:
        """Compare the weights that a rollback would return to at the end of the run, which come from this segment.

        Raises:
            DifferenceError: they are others in the last checkpoint.
        """
        last = Checkpoint.load(self._history.folder.last)
        if found.counters["kept_step"] != last.counters["kept_step"]:
            raise DifferenceError(f"{LAST}: its last good weights are of step {last.counters['kept_step']:,}")
        for slot in filter(_is_kept, last.optimizer):
            # Without a copy of their own they are the current ones.
            now = found.parameters if slot == _KEPT_SLOT else found.optimizer[slot.removeprefix(f"{_KEPT_SLOT}_")]
            problem = differing_tensors(last.optimizer[slot], found.optimizer.get(slot, now))
            if problem is not None:
                raise DifferenceError(f"{LAST}: the tensor optimizer.{slot}.{problem}")

    def _require_best(self, segment: Segment, store: ReplayStore) -> None:
        """Refuse a best checkpoint of a step of the segment at which training again saved none, or n-grams of none.

        Raises:
            DifferenceError: it is such a checkpoint.
        """
        best = self._history.best
        if best is None:
            return
        step = best.counters.get("step", 0)
        if self._history.has_best(segment) and False not in store.compared:
            raise DifferenceError(f"{BEST}: it is of step {step:,}, at which training again gives no best checkpoint")
        if segment.is_end and best.ngrams is not None and True not in store.compared:
            raise DifferenceError(f"{BEST}: it has n-grams, and training again gives none")

    def _compare(self, segment: Segment, end: Checkpoint, found: Checkpoint, is_full: bool) -> None:
        """Compare the checkpoint at the end of a segment with the one that training again has given.

        Raises:
            DifferenceError: they differ.
        """
        folder, start = self._history.folder, self._history.start(segment)
        before, after = ((each.training, each.program, each.corpus) for each in (start, end))
        is_resumed = not segment.to_last and before != after
        name = LAST if segment.to_last else f"{KEPT}/{folder.kept.path(segment.last).name}"
        problems = [
            differing_checkpoint(name, end, each, is_full, not self._any_program)
            for each in (as_resumed(found, end) if is_resumed else [found])
        ]
        if None not in problems:
            raise DifferenceError(problems[0] or "")

    def _end(self, segment: Segment) -> Checkpoint:
        folder = self._history.folder
        return Checkpoint.load(folder.last if segment.to_last else folder.kept.path(segment.last))

    def _origin(self, segment: Segment, needed: int) -> int | None:
        """The kept step to train from, None for the first weights: the segment's, or one before it.

        A kept checkpoint may lack the weights that a rollback returns to. If the segment returns to weights from before
        it, or ends with them, it is trained again from where they were the current ones; ``needed`` is their step.
        """
        history = self._history
        if segment.first not in history.kept:
            return None
        for at in history.log.positions:
            if at.event == "rolled_back" and segment.first < at.step <= segment.last:
                returned_to = history.read([at])[0].record.get("to_step")
                needed = min(needed, returned_to if isinstance(returned_to, int) else 0)
        for step in sorted(history.kept, reverse=True):
            if step > segment.first:
                continue
            is_exact = step <= needed or history.has_last_good(step)
            if is_exact:
                return step
        return segment.first

    def _resumed(self, path: Path) -> Run:
        """The run after the steps that a checkpoint counts."""
        start = Checkpoint.load(path)
        if start.state is None or start.training is None:
            raise UnverifiableError(f"{path.name} has only weights")
        self._prepare(start)
        network = Network(start.model, None, self._threads)
        try:
            return Run(network, start.training, self._parts(start.training), start.vocabulary, start.corpus, start)
        except CheckpointError as error:
            raise DifferenceError(f"{path.name}: {error}") from None
        except CharRNNError as error:  # groups that a single process cannot have
            raise UnverifiableError(str(error)) from None

    def _prepare(self, about: Description) -> None:
        memory.check(about.model, about.training, len(self._parts(about.training).train))
        prepare_kernels(about.model, about.training)

    def _parts(self, config) -> Parts:
        return Parts.of(self._corpus.ids, config.split)

    def _teach(self, run: Run, store: ReplayStore) -> None:
        """Give the run its soft targets, from n-grams or its teachers; they are found once for all segments."""
        config = run.config
        key = (config.teachers, config.teacher_weight, config.ngram_targets, config.dropout, config.split)
        if key not in self._soft_targets:
            if config.teachers:
                Teachers(run, store, self._warn).teach(lambda done, total: self._go_on())
            else:
                trainer = Trainer(run, store)
                trainer.learn_from_ngrams(lambda done, total: self._go_on())
            self._soft_targets[key] = run.soft_targets
        run.soft_targets = self._soft_targets[key]

    def _best_checkpoint(self, segment: Segment) -> Checkpoint | None:
        """The best checkpoint, if it was saved in the segment, or if the segment is the mixing at the run's end."""
        history = self._history
        if history.best is None or not (history.has_best(segment) or segment.is_end):
            return None
        if self._best is None:
            self._best = Checkpoint.load(history.folder.best)
        return self._best

    def _done(self, step: int) -> float:
        """The fraction of the run that was done at ``step``, as the log says of the latest start there, or of it."""
        starts = self._history.starts(step)
        if starts:
            return progress_of(starts[-1].record) if "progress" in starts[-1].record else 0.0
        steps: list[Entry] = self._history.read(
            at for at in self._history.log.positions if at.event == "step" and at.step == step
        )
        return progress_of(steps[-1].record) if steps else 0.0

    def _step(self) -> None:
        self.progress()
        self._go_on()

    def _go_on(self) -> None:
        if self.is_stopped:
            raise StoppedError


def _require_one_length(entries: list[Entry]) -> None:
    """Refuse to train a run again from its first weights if its length was changed later.

    The learning rate of its first steps depended on the first length, and no checkpoint has it.

    Raises:
        UnverifiableError: the log says so.
    """
    lengths, last = None, 0
    for at, record in entries:
        if at.event == STARTED:
            before, lengths = lengths, (record.get("total_steps"), record.get("time_budget_s"))
            if before not in (None, lengths):
                raise UnverifiableError(
                    f"the run was made longer or shorter at step {last:,}, and no checkpoint was kept there or before"
                )
        last = at.step


def _is_kept(slot: str) -> bool:
    """Whether a slot of the optimiser belongs to what a rollback returns to."""
    return slot.startswith(_KEPT_SLOT)


def other_program(about: Description) -> str | None:
    """In words, how the program that wrote a checkpoint differs from this one; None if it does not."""
    here = fingerprint()
    different = [f"{name} {about.program.get(name, 'unknown')} (here {here[name]})" for name in here]
    different = [words for words, name in zip(different, here, strict=True) if about.program.get(name) != here[name]]
    return f"trained with {', '.join(different)}" if different else None
