"""The quick check of a run, without training: every file and every line of the log against the digests in the log."""

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_names import BEST, LAST, METRICS, PREVIOUS
from charrnn.checkpoints.seals import Seal, digest_of
from charrnn.checkpoints.snapshots import KEPT
from charrnn.verification.history import STARTED, History


class DigestCheck:
    """What the quick check has found.

    Attributes:
        differences: a sentence for each thing that is not what the log says.
        notes: a sentence for each thing of which the log says nothing.
        files: how many files are those that the log names.
        lines: how many lines of the log are bound by digests.
    """

    def __init__(self, history: History):
        self._history, self._said = history, history.log.digests()
        self.differences: list[str] = []
        self.notes: list[str] = []
        self.files = 0
        self.lines = history.log.seals[-1].at.number if history.log.seals else 0
        if not history.log.seals:
            self.notes.append(
                f"{METRICS} has no digests: an earlier version of charrnn wrote it, and nothing shows an edit but "
                "training again"
            )
        self._check_log()
        self._check_steps()
        self._check_kept()
        self._check_ends()
        self._check_teachers()
        self._check_history()

    def _check_log(self) -> None:
        """Compare the log with its digests. Behind the first false one all others are false, too."""
        before: Seal | None = None
        for seal in self._history.log.seals:
            if not seal.is_true:
                first, step = (before.at.number, before.at.step) if before else (1, 0)
                self.differences.append(
                    f"{METRICS}: lines {first:,} to {seal.at.number:,} (steps {step:,}-{seal.at.step:,}) are not those "
                    "that were written: a line was edited, removed or added, as their digest shows"
                )
                return
            before = seal

    def _check_steps(self) -> None:
        """The steps of the log must be numbered without a gap."""
        last: int | None = None
        for at in self._history.log.positions:
            if last is None and at.event == STARTED:
                last = at.step
            elif at.event == "step":
                if at.step != (last or 0) + 1:
                    self.differences.append(
                        f"{METRICS}: line {at.number:,} is of step {at.step:,}, behind step {last or 0:,}"
                    )
                    return
                last = at.step

    def _check_kept(self) -> None:
        history = self._history
        for step, description in history.kept.items():
            path = history.folder.kept.path(step)
            name = f"{KEPT}/{path.name}"
            found = history.digests[name] = digest_of(path)
            said = self._said.get(name)
            if said is None:
                if history.log.seals and step <= history.log.seals[-1].at.step and history.is_finished:
                    self.differences.append(f"{name}: the log has no digest of it: it was not there in training")
                elif history.log.seals:
                    self.notes.append(f"{name}: the log has no digest of it yet")
            elif found != said[-1][1]:
                self.differences.append(f"{name}: not the file that was written, as its digest in the log shows")
            else:
                self.files += 1
            if description.counters.get("step") != step:
                self.differences.append(f"{name}: it is of step {description.counters.get('step')}")
        missing = [name for name in self._said if name.startswith(f"{KEPT}/")]
        missing = [name for name in missing if not (history.folder.path / name).is_file()]
        if missing:
            more = f" and {len(missing) - 1:,} more" if missing[1:] else ""
            self.notes.append(f"{missing[0]}{more}, kept in training: not there any more; the segments are longer")

    def _check_ends(self) -> None:
        """Compare the last, the best and the previous checkpoint with the digests in the log."""
        history = self._history
        if history.is_running:
            self.notes.append("the run is being trained: its last and its best checkpoint are left out")
            return
        for name, description in ((LAST, history.last), (BEST, history.best)):
            said = self._said.get(name)
            if description is None:
                if said is not None and history.is_finished:
                    self.differences.append(f"{name}: not there, and the log has its digest")
                continue
            found = history.digests[name] = digest_of(history.folder.path / name)
            if said is not None and found == said[-1][1]:
                self.files += 1
            elif not history.log.seals:
                continue
            elif not history.is_finished and (
                said is None
                or description.counters.get("step", 0) > said[-1][0]
                or description.ngrams is not None  # they come last
            ):
                self.notes.append(f"{name}: saved when the run was killed, so the log has no digest of it")
            elif said is None:
                self.differences.append(f"{name}: the log has no digest of it: the run did not write it")
            else:
                self.differences.append(f"{name}: not the file that was written, as its digest in the log shows")
        path = history.folder.previous
        if history.log.seals and path.is_file():
            self._check_previous(digest_of(path))

    def _check_previous(self, found: str) -> None:
        history, said = self._history, self._said.get(LAST, [])
        step = Checkpoint.describe(history.folder.previous).counters.get("step", 0)
        if any(digest == found for _, digest in said):
            self.files += 1
        elif any(of == step for of, _ in said) and history.is_finished:
            self.differences.append(f"{PREVIOUS}: not a file that was written, as the digests in the log show")
        else:
            self.notes.append(f"{PREVIOUS}: the log has no digest of it")

    def _check_teachers(self) -> None:
        """Compare the models of the teachers with the digests in the log."""
        for name, said in self._said.items():
            path = self._history.folder.path / name
            if not name.startswith("teacher-"):
                continue
            if not path.is_file():
                self.notes.append(f"{name}: not there any more")
            elif digest_of(path) != said[-1][1]:
                self.differences.append(f"{name}: not the model that the run learnt from, as its digest shows")
            else:
                self.files += 1

    def _check_history(self) -> None:
        """Compare the evaluations in the last checkpoint with those in the log."""
        history = self._history
        if history.last is None:
            return
        said = {entry["step"]: entry["val_loss"] for entry in history.last.history}
        wanted = [at for at in history.log.positions if at.event == "evaluated" and at.step in said]
        for at, record in history.read(wanted):
            if record["val_loss"] != said[at.step]:
                self.differences.append(
                    f"{METRICS}: line {at.number:,} has the validation loss {record['val_loss']} of step {at.step:,}, "
                    f"and {LAST} has {said[at.step]}"
                )
                return
