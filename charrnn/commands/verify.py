"""``charrnn verify``: parts of a run are trained again, and every byte is compared."""

import random
import re
import secrets
from typing import Any

import click

from charrnn.commands import offers, signals
from charrnn.commands.help import option, section
from charrnn.commands.options import general_options, given, run_argument
from charrnn.commands.run_text import read_run_text
from charrnn.commands.types import Whole
from charrnn.commands.work import Work, command

SEGMENTS = 3  # that are trained again, unless the user says otherwise
ADVISED = 64  # checkpoints to keep: a segment then takes less than 2 % of a run's time

_STOPPING = "Stopping after this step; what was verified so far follows … (again to leave at once)"


class Verifying(Work):
    """A run that is verified.

    Attributes:
        problems: what differs, each a sentence.
        history: the run.
        stopped: the signal that has ended the training, or None.
    """

    def __init__(self, options: dict[str, Any]):
        super().__init__(options)
        self.problems: list[str] = []
        self.stopped: int | None = None
        self._verified: dict[Any, str] = {}
        self._foreseen: set[Any] = set()  # segments that were chosen for their place

    # ---- without training ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Read the log and the checkpoints' headers.

        Raises:
            CheckpointError: there is no run, or a file is damaged.
        """
        from charrnn.checkpoints.run_names import require_run
        from charrnn.verification.history import History

        path = self.options["checkpoint"]
        require_run(path)
        self.history = History(path, self.options["expect"])

    def check_digests(self) -> None:
        """Compare files and log with the digests in the log."""
        from charrnn.verification.digests import DigestCheck

        history, expected = self.history, self.options["expect"]
        found = DigestCheck(history)
        self.problems += found.differences
        if expected is not None and not history.log.has_prefix:
            self.problems.insert(0, f"the log of the run is not the one of the digest {expected}")
        self._tell({
            "part": "digests",
            "digest": history.log.digest,
            "lines": found.lines,
            "files": found.files,
            "differences": self.problems,
            "notes": found.notes,
        })  # fmt: skip
        for note in found.notes:
            self.terminal.note(note)
        if not self.problems and found.lines:
            files = f"{found.files:,} file{'s' * (found.files != 1)}"
            self._say(f"digests: {files} and {found.lines:,} lines of the log are what was written")
        if expected is not None and history.log.has_prefix:
            self._say("published digest: the log, or its beginning, is the one of this digest")

    # ---- with training ------------------------------------------------------------------------------------

    def train(self) -> None:
        """Train segments again, and tell what they show.

        Raises:
            CharRNNError: the text or a file cannot be read.
        """
        from charrnn.verification.verified import VerifiedSegments
        from charrnn.verification.verifier import Verifier

        history = self.history
        segments = history.segments()
        if not segments and (whole := self._whole()) is not None:
            segments = [whole, *history.end_of_run()]
        if not segments:
            self._summarise([])
            return
        corpus = self._corpus()
        options = self.options
        verifier = Verifier(history, corpus, options["threads"], options["allow_different"], self.terminal.warn)
        self.announce_compilation()
        cache = VerifiedSegments(next(iter(history.digests.values()), str(history.folder.path)))
        identities = history.identities(segments, corpus.sha256)
        before = set() if self.options["anew"] else cache.load(self.terminal.warn)
        self._verified = {each: identities[each] for each in segments if identities[each] in before}
        with signals.Gently(lambda: self._stop(verifier), lambda: self.terminal.note(_STOPPING)) as gently:
            try:
                self._check_all(verifier, self._chosen(verifier, segments), identities)
            finally:
                if self._verified:
                    cache.save(before | set(self._verified.values()), self.terminal.warn)
        self.stopped = gently.stopped
        self._summarise(segments)

    def _whole(self):
        """The whole run as a segment if that is asked for, and else, after a note, None."""
        history = self.history
        whole = history.whole()
        if whole is None:
            self.terminal.note("no checkpoint was kept that a part of the run could be trained again from")
            return None
        if self.options["all"]:
            return whole
        from charrnn.display.terminal import numbers

        took = numbers.duration(history.last.counters.get("elapsed_s") or 0.0)
        self.terminal.note(
            f"no checkpoints were kept along the way: only the whole run can be trained again, with --all, in about "
            f"{took}. Next time: charrnn train … --keep-checkpoints {ADVISED}"
        )
        return None

    def _corpus(self):
        """The text of the run.

        Raises:
            ConfigError: it is not there, or is another one.
        """
        from charrnn.errors import ConfigError
        from charrnn.training.resumed_run import other_text

        history, terminal = self.history, self.terminal
        about = history.last or history.kept[max(history.kept)]
        corpus, sources = read_run_text(self.options["text"], about, terminal)
        known = {each.corpus.get("sha256") for each in (about, *history.kept.values())}
        if corpus.sha256 not in known:
            raise ConfigError(
                f"not the text of the run: {other_text(corpus, sources, about.corpus)}; name it with --text"
            )
        return corpus

    def _chosen(self, verifier, segments) -> list:
        """The segments to train again: drawn at random from the unverified ones, in a random order.

        So what was verified until a Ctrl-C is random, too.

        Raises:
            CheckpointError: none can be trained again here.
        """
        from charrnn.errors import CheckpointError

        options, history = self.options, self.history
        reasons = {each: verifier.reason_against(each) for each in segments}
        possible = [each for each in segments if reasons[each] is None]
        for reason in dict.fromkeys(filter(None, reasons.values())):
            those = [each for each in segments if reasons[each] == reason]
            text = f"{_listed(those)}: {reason}; not trained again"
            if not possible:
                raise CheckpointError(f"{history.folder.path}: {text}: {_advice(reason)}")
            self.terminal.note(f"{text}: {_advice(reason)}")
        if not history.begins_at_zero and history.kept:
            self.terminal.note(f"steps 0-{min(history.kept):,}: no checkpoints were kept there; not trained again")
        left = [each for each in possible if each not in self._verified]
        if options["all"]:
            return secrets.SystemRandom().sample(left, len(left))
        possible = [each for each in possible if not each.is_end]
        if options["seed"] is None:
            wanted = [each for each in left if not each.is_end]
            drawn = secrets.SystemRandom().sample(wanted, min(options["segments"], len(wanted)))
        else:  # the same ones whatever was verified before
            drawn = random.Random(options["seed"]).sample(possible, min(options["segments"], len(possible)))
        if options["best"]:
            wanted = [each for each in left if history.has_best(each)]
            if history.best is not None and history.best.ngrams is not None:
                wanted += [each for each in left if each.is_end]
            self._foreseen = set(wanted) - set(drawn)
            drawn += sorted(self._foreseen)
        return drawn

    def _check_all(self, verifier, chosen, identities) -> None:
        from charrnn.verification.verifier import StoppedError

        done, total = 0, sum(each.steps for each in chosen)
        try:
            if self.history.begins_at_zero:
                self._report_start(verifier.check_start())
            for segment in chosen:
                with self.bar(f"Training {segment} again") as report:

                    def progress(report=report) -> None:
                        nonlocal done
                        done += 1
                        report(min(done, total), total)

                    verifier.progress = progress
                    outcome = verifier.check(segment)
                self._report(outcome, identities[segment])
        except StoppedError:
            pass

    def _report_start(self, outcome) -> None:
        training = self.history.kept[0].training
        self._tell({"part": "start", "equal": outcome.is_equal, "problem": outcome.difference or outcome.reason})
        if outcome.difference is not None:
            self.problems.append(f"the first weights: {outcome.difference}")
        elif outcome.reason is not None:
            self.terminal.note(f"first weights: not compared; {outcome.reason}")
        elif self.history.kept[0].corpus.get("init_from"):
            self._say("first weights: those of the model that the run began with")
        else:
            self._say(f"first weights: those of seed {training.seed}")

    def _report(self, outcome, identity: str) -> None:
        from charrnn.display.reports.verification import segment_line

        segment = outcome.segment
        self._tell({
            "part": "segment",
            "first": segment.first,
            "last": segment.last,
            "equal": outcome.is_equal,
            "problem": outcome.difference or outcome.reason,
            "seconds": outcome.seconds,
        })  # fmt: skip
        if outcome.difference is not None:
            self.problems.append(f"{segment}: {outcome.difference}")
        elif outcome.reason is not None:
            self.terminal.note(f"{segment}: not verified; {outcome.reason}")
        else:
            self._verified[segment] = identity
            self._say(segment_line(str(segment), outcome.seconds))

    def _summarise(self, segments) -> None:
        from charrnn.display.reports.verification import missed_line, verified_line
        from charrnn.verification.odds import examples, missed

        verified, steps = [each for each in self._verified if not each.is_end], self.history.end
        count, failed = sum(not each.is_end for each in segments), bool(self.problems)
        drawn = len(set(verified) - self._foreseen)  # a forger would leave the others as they are
        odds = {} if failed or not count else {each: missed(count, drawn, each) for each in examples(count)}
        parts = [(each.first, each.last) for each in verified]
        best = self._best() if segments else None
        self._tell({
            "part": "summary",
            "verified": parts,
            "steps": steps,
            "share": sum(each.steps for each in verified) / max(steps, 1),
            "segments": count,
            "checked": len(verified),
            "missed": {str(each): value for each, value in odds.items()},
            "best": best,
            "interrupted": self.stopped is not None,
        })  # fmt: skip
        self._say(verified_line(parts, steps))
        if best is not None:
            self._say(f"best checkpoint: {best}")
        if odds and len(verified) < count:
            self._say(missed_line(count, odds))

    def _best(self) -> str | None:
        """In words, whether the best checkpoint was compared; None if there is none."""
        history = self.history
        if history.best is None:
            return None
        step = history.best.counters.get("step", 0)
        checked = [each for each in self._verified if history.has_best(each)]
        if not checked:
            return f"of step {step:,}; not verified, as its segment was not trained again (--best does)"
        if history.best.ngrams is not None and not any(each.is_end for each in self._verified):
            return f"of step {step:,}; its weights are verified, its n-grams are not (--best does)"
        return f"of step {step:,}; verified"

    def _stop(self, verifier) -> None:
        verifier.is_stopped = True

    # ---- output -------------------------------------------------------------------------------------------

    def _say(self, line: str) -> None:
        if not (self.terminal.wants_json or self.terminal.quiet):
            self.terminal.show(line)

    def _tell(self, record: dict[str, Any]) -> None:
        if self.terminal.wants_json:
            self.terminal.json(record)

    def finish(self) -> None:
        """End with what differs.

        Raises:
            VerificationError: something does.
        """
        from charrnn.errors import VerificationError

        path, problems = self.history.folder.path, self.problems
        if problems[1:]:
            for problem in problems:
                self._say(f"differs: {problem}")
        if problems:
            more = f"; and {len(problems) - 1:,} more" if problems[1:] else ""
            raise VerificationError(f"{path}: {problems[0]}{more}")


def _listed(segments) -> str:
    from charrnn.display.reports.verification import spans

    joined = spans([(each.first, each.last) for each in segments])
    return "steps " + ", ".join(f"{first:,}-{last:,}" for first, last in joined)


def _advice(reason: str) -> str:
    if "another text" in reason:
        return "name it with --text"
    if reason.startswith("trained with"):
        return "install that, or try all the same with --allow-different"
    return "keep whole checkpoints, with charrnn train --keep-checkpoints"


def _digest(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", value.strip()):
        raise click.BadParameter("a digest has 64 hexadecimal digits", ctx, param)
    return value and value.strip().lower()


@command(
    Verifying,
    run_argument,
    section(
        "What is trained again",
        option(
            "--segments", type=Whole(0, 100_000), default=SEGMENTS,
            help="Segments to train again, drawn at random of those that are not yet verified.",
        ),
        option("--all", is_flag=True, help="Train all segments again that are not yet verified."),
        option("--best", is_flag=True, help="Train that segment again, too, which the best checkpoint comes from."),
        option("--quick", is_flag=True, help="Train nothing again: compare files and log with the digests in the log."),
        option(
            "--seed", type=Whole(0, 2**63 - 1),
            help="Draw the same segments again.  [default: segments that nobody can foretell]",
        ),
        option("--anew", is_flag=True, help="Forget which segments were verified before."),
    ),
    section(
        "The digest",
        option("--digest", is_flag=True, help="Write the digest of the run, to be published, and nothing else."),
        option(
            "--expect", metavar="DIGEST", callback=_digest,
            help="The digest that was published: the run must be the one, or go on from the one, that had it.",
        ),
    ),
    section(
        "The text and the program",
        option(
            "--text", multiple=True, metavar="TEXT", shell_complete=offers.texts,
            help="Where the run's text is now.  [default: where it was]",
        ),
        option(
            "--allow-different", is_flag=True, rare=True,
            help="Try parts that another version of charrnn, NumPy or Numba has trained.",
        ),
    ),
    general_options,
)  # fmt: skip
def verify(work: Verifying) -> None:
    """Verify that RUN is what it claims: train random segments of it again, and compare every byte.

    First every file and every line of the log is compared with the digests in the log, which finds edits. Then
    segments between two kept checkpoints are trained again from the first one: the second one, with its optimizer, and
    the losses in the log must come out the same. That finds what no training has computed. It needs the run's text, and
    checkpoints that were kept with `charrnn train --keep-checkpoints 64`. RUN stays as it is.

    \b
    charrnn train novel.txt --keep-checkpoints 64
    charrnn verify novel
    charrnn verify novel --digest

    \f

    Exit status 1: something differs, and a line says what, where, and between which steps. Times in the log are not
    compared, and neither are saves that a clock decided. What was verified is remembered in the user's cache
    folder, for the next check.

    --json writes an object for the digests, the first weights, each segment and the summary: part (digests, start,
    segment, summary), and of digests: digest, lines, files, differences, notes; of the start: equal, problem; of a
    segment: first, last, equal, problem, seconds; of the summary: verified (pairs of steps), steps, share, segments,
    checked, missed (probability by the number of edited segments), best, interrupted.
    """
    options = work.options
    _check_usage()
    work.open()
    if options["digest"]:
        if work.terminal.wants_json:
            work.terminal.json({"digest": work.history.log.digest})
        else:
            work.write(f"{work.history.log.digest}\n")
        return
    work.check_digests()
    if not work.problems and not options["quick"]:
        work.train()
    work.finish()
    if work.stopped:
        signals.end_in_time(work.stopped)
        raise click.exceptions.Exit(128 + work.stopped)


def _check_usage() -> None:
    """Refuse options that contradict each other.

    Raises:
        click.UsageError: there are such options.
    """
    training = ("segments", "all", "best", "seed", "anew", "text")
    excluded = {"digest": (*training, "quick", "expect"), "quick": training, "all": ("segments", "seed", "best")}
    for first in given(excluded):
        if others := given(excluded[first]):
            raise click.UsageError(f"--{first} and --{others[0]} exclude each other: give one.")
