"""``charrnn bench``: how fast this machine is at a model."""

import dataclasses

import click

from charrnn.commands.help import option, section
from charrnn.commands.options import attention_options, cell_option, json_option, settings, threads_option
from charrnn.commands.types import CheckpointPath, Number, Whole
from charrnn.commands.work import Work, command, picked
from charrnn.config import ModelConfig, TrainConfig

_HOW_TO_START = "--distributed measures the ranks of MPI together: start it as mpirun -n 4 charrnn bench --distributed"


@command(
    Work,
    click.argument("checkpoint", required=False, type=CheckpointPath()),
    section(
        "The model",
        *settings(ModelConfig, {
            "hidden": "Units of a layer.",
            "layers": "Number of layers.",
            "embedding": "Size of a learned embedding.  [default: none]",
        }, rare=False),
        cell_option,
        *attention_options,
        option("--vocabulary", type=Whole(1, 100_000), default=65, help="Number of characters."),
    ),
    section(
        "The measurement",
        *settings(TrainConfig, {"batch_size": "Rows of the batch.", "seq_len": "Steps of a window."}, rare=False),
        *settings(TrainConfig, {
            "groups": "Groups of rows that are summed apart, as in training.  [default: 1; with --distributed as in "
            "training]",
        }),
        option("--seconds", type=Number(0.01, 600), default=1.0, help="Time for each measurement."),
        option("--sweep", is_flag=True, help="Several batch sizes and numbers of threads, to choose from."),
        option("--distributed", is_flag=True, help="Measure training alone, by all ranks that mpirun has started."),
    ),
    section("General", threads_option, json_option),
)  # fmt: skip
def bench(work: Work) -> None:
    """Measure how fast this machine is at the model in CHECKPOINT, or at a model of the sizes given.

    It shows characters a second in training, evaluation and writing one text; GFLOP/s, counting only the operations
    that the mathematics needs, and their share of this machine's peak; where the time goes; and memory.

    \b
    charrnn bench --hidden 512 --batch-size 64 --seq-len 100
    charrnn bench --cell transformer --layers 4 --sweep

    \f

    --json writes an object for each measurement: config, batch_size, seq_len, threads, training_chars_per_s,
    evaluation_chars_per_s, sampling_chars_per_s, gflops, peak_gflops, share_of_peak, parts, memory_bytes.
    With --distributed the object has config, batch_size, seq_len, groups, training_chars_per_s of all ranks together,
    waiting_share, their mean share of time that waits for other ranks, gradient_bytes, and ranks: of each its rank,
    host, threads, rows, training_chars_per_s and waiting_share.
    """
    if work.options["distributed"]:
        _measure_together(work)
    else:
        _measure(work)


def _model(work: Work) -> ModelConfig:
    """The model of the checkpoint, or of the sizes given.

    Raises:
        CheckpointError: the checkpoint cannot be read.
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.network.cells import cell_of

    options = work.options
    model = ModelConfig(**{each.name: options[each.name] for each in dataclasses.fields(ModelConfig)})
    if options["checkpoint"]:
        model = load_checkpoint(options["checkpoint"], warn=work.terminal.warn).model
    return cell_of(model).completed(model, options["seq_len"])


def _measure(work: Work) -> None:
    from charrnn.display.reports.speed import speed_lines, sweep_lines
    from charrnn.network.cells import cell_of
    from charrnn.system.threads import available_threads
    from charrnn.training import memory
    from charrnn.training.speed import measure

    options, threads, seq_len = work.options, work.options["threads"], work.options["seq_len"]
    work.announce_compilation()
    model = _model(work)
    most = threads or available_threads()
    cases = [(options["batch_size"], most)]
    if options["sweep"]:
        counts = sorted({1, most}) if threads is None else [threads]
        cases = [(size, count) for size in (8, 16, 32, 64, 128) for count in counts]
    for size, _ in cases:
        memory.check(model, TrainConfig(batch_size=size, seq_len=seq_len))
    timings = []
    with work.bar("Measuring") as report:
        for size, count in cases:
            report(len(timings), len(cases))
            timings.append(measure(model, size, seq_len, count, options["seconds"], options["groups"] or 1))
    records, cell, width = list(map(_record, timings)), cell_of(model).title, work.terminal.width
    lines = sweep_lines(records, cell, width) if options["sweep"] else speed_lines(records[0], cell, width)
    work.show(records, lines)


def _measure_together(work: Work) -> None:
    """Measure all ranks; the first one shows it.

    Raises:
        click.UsageError: no launcher of MPI has started this process.
        CharRNNError: MPI cannot be used, or the ranks cannot share the batch rows.
    """
    from charrnn.training import mpi

    if not mpi.is_launched():
        raise click.UsageError(_HOW_TO_START)
    if work.options["sweep"]:
        raise click.UsageError("--sweep measures one process: leave it out with --distributed.")
    with work.ranks("on") as ranks:
        _show_together(work, ranks)


def _show_together(work: Work, ranks) -> None:
    from charrnn.display.reports.speed import together_lines
    from charrnn.network.cells import cell_of
    from charrnn.network.parameters import Parameters
    from charrnn.training import memory
    from charrnn.training.ranks import default_groups
    from charrnn.training.speed import measure_together

    options, size, seq_len = work.options, work.options["batch_size"], work.options["seq_len"]
    work.announce_compilation()
    model, threads = _model(work), options["threads"] or ranks.threads()
    groups = options["groups"] or default_groups(size)
    memory.check(model, TrainConfig(batch_size=size, seq_len=seq_len, groups=groups), ranks=ranks.size)
    timings = measure_together(model, size, seq_len, threads, ranks, groups, options["seconds"])
    ranks.finish()
    record = {
        "config": model.to_dict(),
        "batch_size": size,
        "seq_len": seq_len,
        "groups": groups,
        "training_chars_per_s": sum(each.training for each in timings),
        "waiting_share": sum(each.waits for each in timings) / len(timings),
        "gradient_bytes": Parameters(model).flat.nbytes,
        "ranks": [
            {
                **picked(each, "rank", "host", "threads", "rows"),
                "training_chars_per_s": each.training,
                "waiting_share": each.waits,
            }
            for each in timings
        ],
    }
    work.show([record], together_lines(record, cell_of(model).title, work.terminal.width))


def _record(timing) -> dict:
    return {
        "config": timing.config.to_dict(),
        **picked(timing, "batch_size", "seq_len", "threads"),
        **{f"{what}_chars_per_s": getattr(timing, what) for what in ("training", "evaluation", "sampling")},
        "gflops": timing.flops / 1e9,
        "peak_gflops": timing.peak / 1e9,
        "share_of_peak": timing.flops / timing.peak,
        "parts": timing.parts,
        "memory_bytes": timing.memory,
    }
