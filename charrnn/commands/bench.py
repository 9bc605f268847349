"""``charrnn bench``: how fast this machine is at a model."""

import dataclasses

import click

from charrnn.commands.help import option, section
from charrnn.commands.options import attention_options, cell_option, json_option, settings, threads_option
from charrnn.commands.types import CheckpointPath, Number, Whole
from charrnn.commands.work import Work, command, picked
from charrnn.config import ModelConfig, TrainConfig


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
        option("--seconds", type=Number(0.01, 600), default=1.0, help="Time for each measurement."),
        option("--sweep", is_flag=True, help="Several batch sizes and numbers of threads, to choose from."),
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
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.display.reports.speed import speed_lines, sweep_lines
    from charrnn.network.cells import cell_of
    from charrnn.system.threads import available_threads
    from charrnn.training import memory
    from charrnn.training.speed import measure

    options, threads, seq_len = work.options, work.options["threads"], work.options["seq_len"]
    work.announce_compilation()
    model = ModelConfig(**{each.name: options[each.name] for each in dataclasses.fields(ModelConfig)})
    if options["checkpoint"]:
        model = load_checkpoint(options["checkpoint"], warn=work.terminal.warn).model
    model = cell_of(model).completed(model, seq_len)
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
            timings.append(measure(model, size, seq_len, count, options["seconds"]))
    records, cell, width = list(map(_record, timings)), cell_of(model).title, work.terminal.width
    lines = sweep_lines(records, cell, width) if options["sweep"] else speed_lines(records[0], cell, width)
    work.show(records, lines)


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
