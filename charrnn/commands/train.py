"""``charrnn train``: a text in, a model that writes like it out."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from charrnn.checkpoints.run_names import RUNS, name_of_text, require_run_name
from charrnn.commands import offers, signals
from charrnn.commands.help import Command, option, section
from charrnn.commands.options import (
    attention_options,
    cell_option,
    general_options,
    given,
    settings,
    unknown_option,
)
from charrnn.commands.settings import read_settings
from charrnn.commands.types import CheckpointPath, Duration, Whole
from charrnn.commands.work import Work
from charrnn.config import (
    CELL_SETTINGS,
    DEFAULT_DECAY_RATE,
    DEFAULT_LR,
    DEFAULT_WEIGHT_DECAY,
    PRESETS,
    ModelConfig,
    TextConfig,
    TrainConfig,
)
from charrnn.errors import ConfigError
from charrnn.settings import TEXT, Options, require_consistent

_STOPPING = "Stopping after this step, then saving … (again to leave at once)"


def _by_name(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _by_cell(name: str) -> str:
    """The defaults of a setting that cells have of their own."""
    return ", ".join(f"{cell} {values[name]:g}" for cell, values in CELL_SETTINGS.items() if name in values)


# The options that people use most.
_FIRST = ("time_budget", "name", "resume", "force", "preset", "cell", "hidden", "layers", "dropout", "epochs", "seed")


@click.command(cls=Command, first=_FIRST)
@click.argument("text", nargs=-1, metavar="TEXT...", shell_complete=offers.texts)
@section(
    "The run",
    option("--name", shell_complete=offers.runs, help="Name of the run.  [default: the text's name]"),
    option(
        "--out", type=click.Path(path_type=Path, file_okay=False), default=RUNS,
        help="Folder that holds the runs.",
    ),
    option("--force", is_flag=True, help="Replace a run of the same name."),
    option(
        "--distributed", type=click.Choice(("auto", "on", "off")), default="auto", rare=True,
        help="Share the work with the other ranks of MPI; auto does, if mpirun or srun has started several.",
    ),
    option(
        "--preset", type=click.Choice(tuple(PRESETS)),
        help="Settings that go together: quick (three minutes), balanced (the defaults), best (half an hour a "
        "megabyte). Flags win.",
    ),
)  # fmt: skip
@section(
    "The network",
    option(
        "--hidden", type=Whole(1, 65_536),
        help="Units of a layer.  [default: as suits text and time]",
    ),
    *settings(ModelConfig, {
        "layers": f"Number of layers; {_by_cell('layers')}.",
        "embedding": "Learn an embedding of this size for the characters.  "
        "[default: none; characters are looked up one-hot, and a transformer always has one]",
    }, shown=("layers",)),
    cell_option,
    *attention_options,
    *settings(TrainConfig, {
        "seq_len": "Steps that the gradient goes back. The state is carried on beyond them: what a recurrent network "
        "remembers, the keys and values of a transformer's context.",
        "no_carry": "Begin every window with an empty state, in training and in validation. --seq-len is then "
        "--context by default.",
        "batch_size": "Stretches of the text that are read side by side; 16 by default for a short text.",
        "accumulate": "Read N times --batch-size stretches in a step, in N parts one after the other: less memory, the "
        "same bits as N times the stretches at once with as many --groups.",
        "groups": "Groups of these stretches that are summed apart, so that as many ranks of MPI can share them.  "
        "[default: as many as cost little]",
        "init": "The first weights: unit, made for one-hot characters; uniform, PyTorch's; xavier; orthogonal, with "
        "orthogonal recurrent matrices and the rest as unit.",
        "forget_bias": "LSTMs: the first bias of forget gates. The higher it is, the longer cells remember at first.",
    }),
)  # fmt: skip
@section(
    "Regularisation",
    *settings(TrainConfig, {
        "dropout": "Share of every layer's outputs to drop while training.  "
        "[default: 0.5 to 0, less for a larger text]",
        "variational": "Recurrent networks: drop the same outputs in all steps of a window.",
        "recurrent_dropout": "Recurrent networks: share of the recurrent weights to drop for a window.  "
        "[default: 0.2 for a short text, else 0]",
        "input_dropout": "Share of the characters to hide from a window.",
        "label_smoothing": "Share of the target to spread over all characters.",
        "tar": "Recurrent networks: penalty on how much the top layer's outputs change from step to step "
        "(temporal activation regularisation).  [default: 1 for LSTMs, unless the text is short, else 0]",
    }, shown=("dropout",)),
)  # fmt: skip
# An option that the chosen optimizer or schedule does not use has no effect; its help begins with those that use it.
@section(
    "How it learns",
    *settings(TrainConfig, {
        "optimizer": f"How the gradient changes the weights; with the rates {_by_name(DEFAULT_LR)}.",
        "lr": f"Peak learning rate.  [default: the optimizer's; {_by_cell('lr')}]",
        "beta1": "Adam: decay of the gradient's average. sgd: momentum.",
        "beta2": "Adam and rmsprop (alpha): decay of the average of the gradient's square.",
        "epsilon": "All but sgd: added to the root of the squares that divides the step.",
        "nesterov": "sgd: Nesterov's momentum.",
        "weight_decay": "Pull of the weights to zero: decoupled in adamw, an L2 term elsewhere.  "
        f"[default: adamw {DEFAULT_WEIGHT_DECAY['adamw']:g}, others 0]",
        "l1": "L1 term: the same pull on small weights as on large ones.",
        "clip": "Bound on the gradient's norm; 0 for none.",
        "clip_value": "Bound on each element of the gradient, applied before --clip; 0 for none.",
        "ema": "Decay of a moving average of the weights, such as 0.999; 0 for none.",
        "warmup": "Steps in which the learning rate rises to its peak, in every schedule.",
        "schedule": "How the learning rate falls: to --final-lr along a line or half a cosine; by --decay-rate in "
        "steps, or smoothly (exponential), or when the validation loss does not improve (plateau).",
        "final_lr": "linear, cosine: the last learning rate, as a share of the peak.",
        "decay_rate": "step, exponential, plateau: the factor that multiplies the learning rate.  "
        f"[default: {_by_name(DEFAULT_DECAY_RATE)}]",
        "decay_after": "step, exponential: epochs before the learning rate falls.",
        "decay_every": "step, exponential: epochs in which it falls by --decay-rate.",
        "plateau_patience": "plateau: evaluations in a row without a better one until it falls.",
        "teachers": "Train N networks first, each as long and with a seed of its own, and learn from their averaged "
        "predictions too.",
        "teacher_weight": "--teachers: their part of the target.",
        "ngram_targets": "Part of the target that n-grams of the text give at first, without --teachers; it falls to "
        "a quarter of the dropout.",
        "ngrams": "At the end, let n-grams learn the text too, and keep both in the best checkpoint.",
    }, shown=("lr",)),
)  # fmt: skip
@section(
    "How long",
    *settings(TrainConfig, {
        "epochs": "Passes over the text.  [default: as suits its size]",
        "effort": "The default number of epochs, times this.",
        "steps": "Updates, instead of epochs.",
    }, shown=("epochs", "steps")),
    option("--time-budget", type=Duration(), help="Time from the first step on, instead of epochs: 90s, 3m."),
    *settings(TrainConfig, {"patience": "End after N evaluations without a better one.  [default: go on]"}),
)  # fmt: skip
@section(
    "The text",
    *settings(
        TrainConfig, {"split": "Percent of the text for training, validation and test, in this order."},
        metavar="A/B/C",
    ),
    unknown_option,
    option(
        "--bytes", "as_bytes", is_flag=True, rare=True,
        help="Model bytes instead of characters. Reports then call a byte a character.",
    ),
    *settings(TextConfig, {
        "encoding": "Encoding of the text.",
        "min_count": "Characters seen less often become U+FFFD.",
        "max_vocab": "Refuse a text with more distinct characters.",
    }),
)  # fmt: skip
@section(
    "Along the way",
    *settings(TrainConfig, {
        "eval_every": "Steps between evaluations.  [default: about a twelfth of the run]",
        "save_every": "Steps between saves.  [default: with every evaluation, and each minute]",
        "sample_every": "Steps between samples; 0 for none.  [default: a few early ones, then with evaluations]",
    }, metavar="STEPS"),
    *settings(TrainConfig, {
        "snapshots": "Keep weights along the way, for `charrnn inspect history`.",
        "keep_checkpoints": "Keep N checkpoints along the way, such as 64, so that `charrnn verify` can train any part "
        "again.",
    }, shown=("snapshots", "keep_checkpoints")),
    option(
        "--diagnose", is_flag=True, rare=True,
        help="With every evaluation, show how far gradients reach back, how large updates are, how open the gates.",
    ),
)  # fmt: skip
@section(
    "Resuming, and starting from a model",
    option("--resume", is_flag=True, help="Go on with the run of this name, from its last checkpoint."),
    option(
        "--allow-different", is_flag=True, rare=True,
        help="With --resume: go on though settings, text or program differ from those that the run was begun with.",
    ),
    option(
        "--init-from", type=CheckpointPath(), metavar="CHECKPOINT",
        help="Start from the weights and characters of a model.",
    ),
    option(
        "--grow-vocabulary", is_flag=True, rare=True,
        help="With --init-from: give the model the characters of the text that it does not know.",
    ),
)  # fmt: skip
@section(
    "General",
    option(
        "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.toml", is_eager=True,
        callback=read_settings, expose_value=False, help="Options by their names, as TOML. Flags win.",
    ),
    *settings(TrainConfig, {"seed": "The same seed trains the same model."}, shown=("seed",)),
)  # fmt: skip
@general_options
@click.pass_context
def train(ctx: click.Context, text: tuple[str, ...], **options: Any) -> None:
    """Train on TEXT: files, folders, - for standard input, or names from `charrnn corpus list`.

    The run is kept in OUT/NAME: last.safetensors to resume from, best.safetensors with the best validation loss, and
    metrics.jsonl. Ctrl-C saves and stops; --resume goes on as if nothing had happened.

    \b
    charrnn train fables
    charrnn train novel.txt --time-budget 10m
    charrnn train novel.txt --resume

    \f

    Snapshots are kept at steps with samples, two for each doubling of the steps.

    With 64 kept checkpoints a part takes less than 2 % of the run's time. Each takes 12 bytes a weight with Adam, 8
    with the other optimizers; the run says how much in all.

    --json writes the run's records, one a line, as they stand in metrics.jsonl, without the digests.
    """
    work = Work(options)
    _check_usage(text, options)
    with work.ranks(options["distributed"]) as ranks:
        if ranks.size > 1:
            if "-" in text:
                raise click.UsageError("Several ranks cannot share standard input: name a file.")
            options["threads"] = options["threads"] or ranks.threads()
        stopped = _train(text, work, ranks)
    if stopped and ranks.is_first:  # a launcher passes this status on, and takes that of another rank for a failure
        signals.end_in_time(stopped)
        ctx.exit(128 + stopped)


def _train(text: tuple[str, ...], work: Work, ranks) -> int:
    """Make the run, train it and show it; returns the signal that has ended it, or 0.

    Raises:
        CharRNNError: the text, the options or a checkpoint cannot be used.
    """
    from charrnn.checkpoints.run_folder import ReadOnlyRun, RunFolder
    from charrnn.display.training.run_state import resume_command
    from charrnn.training.stages import Stages

    options, terminal = work.options, work.terminal
    kind = RunFolder if ranks.is_first else ReadOnlyRun
    folder = kind(options["out"] / _run_name(options["name"], text))
    work.announce_compilation()
    with folder.locked():
        trainer = _begin(text, work, folder, ranks)
        ranks.require_same(trainer.facts)
        stages = Stages(trainer, terminal.warn)

        def stop() -> None:
            ranks.signal = gently.stopped or 0
            stages.stop()

        gently = signals.Gently(stop, lambda: terminal.note(_STOPPING))
        try:
            with gently:
                _show_teachers(stages, work, gently)
                _show(trainer, terminal, gently, is_silent=not ranks.is_first)
        except signals.Stopped:
            terminal.note(f"left at once; to go on from the last save: {resume_command(str(folder.path))}")
            raise
    return gently.stopped or ranks.signal


def _begin(text: tuple[str, ...], work: Work, folder, ranks):
    """A trainer for a new run, or for one that goes on.

    Raises:
        CharRNNError: a run is there or not there, or the text or the options cannot be used.
    """
    from charrnn.commands.run_text import read_run_text
    from charrnn.commands.texts import open_text
    from charrnn.training.new_run import begin
    from charrnn.training.resumed_run import resume

    options, terminal = work.options, work.terminal

    def read(chosen: Options, vocabulary):
        how = {name: chosen.values[name] for name in (*TEXT, "unknown")}
        return open_text(terminal, text, vocabulary=vocabulary, grow=chosen.values["grow_vocabulary"], **how)

    def read_again(checkpoint):
        return read_run_text(text, checkpoint, terminal)

    chosen = Options(options, given(tuple(options)))
    how = {"threads": options["threads"], "ranks": ranks}
    if options["resume"]:
        how["allow_different"] = options["allow_different"]
        return resume(chosen, read_again, folder, terminal.warn, **how)
    return begin(chosen, read, folder, terminal.warn, force=options["force"], **how)


def _show_teachers(stages, work: Work, gently: signals.Gently) -> None:
    """Train the teachers of a run, if it has some, and show that.

    Raises:
        CharRNNError: a teacher diverged, or one of its files cannot be read or written.
    """
    from charrnn.display.terminal import numbers

    terminal, count = work.terminal, stages.teachers
    for number, teacher in stages.to_train():
        left = count + 1 - number
        terminal.note(f"Teacher {number} of {count}; after it {left} more run{'s' * (left > 1)} of this length")
        _show(teacher, terminal, gently, is_teacher=True)
        loss = teacher.counters.best_val_loss
        if gently.stopped is None and loss is not None:
            terminal.note(f"Teacher {number} of {count}: validation {numbers.loss(loss)}")
    if count:
        with work.bar("Teachers read") as progress:
            stages.teach(progress)


def _what_to_name(resumes: bool, out: Path) -> str:
    """What to add to a command line without a text."""
    from charrnn.checkpoints.runs import list_runs
    from charrnn.display.training.run_state import resume_command

    unfinished = next((run for run in list_runs(out) if run.is_resumable), None) if resumes else None
    if unfinished is not None:
        return f"name the run, as in {resume_command(str(unfinished.path))}"
    return "a file to learn from (or --resume with --name)"


def _check_usage(text: tuple[str, ...], options: dict[str, Any]) -> None:
    """Refuse options that contradict each other.

    Raises:
        click.UsageError, ConfigError: there are such options.
    """
    from charrnn.text.corpus import split

    resumes, source = options["resume"], options["init_from"]
    if not text and not (resumes and options["name"]):
        raise click.UsageError(f"Missing argument 'TEXT...': {_what_to_name(resumes, options['out'])}.")
    if resumes and (source or options["force"] or options["preset"]):
        raise click.UsageError("--resume goes on with a run; --init-from, --preset and --force start one.")
    if options["allow_different"] and not resumes:
        raise click.UsageError("--allow-different goes with --resume.")
    try:
        split(100, options["split"])
    except ConfigError as error:
        raise click.BadParameter(str(error), param_hint="--split") from None
    require_consistent(options, resumes)


def _show(trainer, terminal, gently: signals.Gently, is_teacher: bool = False, is_silent: bool = False) -> None:
    """Go through the run and show it. If the display breaks, the run saves and stops, and then the error is raised.

    A teacher's end is not shown, and --json writes no record of a teacher. If the display's reader has stalled when a
    signal ends the run, the process ends after the save and writes no more.
    """
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.display.training.displays import Display, training_display

    earlier = _earlier(trainer) if terminal.is_live else []
    broken: OSError | None = None
    with ExitStack() as shown:
        is_silent = is_silent or (is_teacher and terminal.wants_json)
        display = shown.enter_context(Display() if is_silent else training_display(terminal, earlier))
        with progress_bar(terminal, "N-grams read the text") as progress:
            trainer.learn_from_ngrams(progress)
        for record in trainer.run():
            trainer.folder.record(record)
            if broken is None and not (is_teacher and record.event == "finished"):
                try:
                    with gently.writing():
                        display.handle(record)
                except OSError as error:
                    broken = error
                    trainer.stop()
        if broken is None:
            try:
                with gently.writing():
                    shown.close()
            except OSError as error:
                broken = error
        if isinstance(broken, signals.StalledError):
            signals.leave(gently.stopped)
    if broken is not None:
        raise broken


def _earlier(trainer) -> list[tuple[int, bool, float]]:
    """The losses in the log before a resume: step, whether it is a validation loss, loss. Empty for a new run.

    They are only drawn, so a log that is lost or damaged is no reason not to go on.
    """
    from charrnn.errors import CheckpointError
    from charrnn.inspection.history import losses

    begun = trainer.subject.resumed_from
    if begun is None:
        return []
    try:
        training, validation = losses(trainer.folder.path)
    except CheckpointError:
        return []
    points = [(int(step), False, loss) for step, loss in training]
    points += [(int(step), True, loss) for step, loss in validation]
    return sorted(point for point in points if point[0] <= begun.counters["step"])


def _run_name(name: str | None, text: tuple[str, ...]) -> str:
    """The name of the run's folder."""
    if name is None:
        name = "stdin" if text[0] == "-" else name_of_text(text[0])
    try:
        return require_run_name(name)
    except ConfigError as error:
        raise click.BadParameter(f"{error}.", param_hint="--name") from None
