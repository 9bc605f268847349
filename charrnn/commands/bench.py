"""``charrnn bench``: how fast this machine is at a model."""

import click

from charrnn.commands.help import Command, option, section
from charrnn.commands.options import json_option, threads_option
from charrnn.commands.types import CheckpointPath, Number, Whole
from charrnn.config import TrainConfig

_DEFAULTS = TrainConfig()


@click.command(cls=Command)
@click.argument("checkpoint", required=False, type=CheckpointPath())
@section(
    "The model",
    option("--hidden", type=Whole(1, 65536), default=256, show_default=True, help="Units of a layer."),
    option("--layers", type=Whole(1, 64), default=2, show_default=True, help="Number of layers."),
    option("--embedding", type=Whole(1, 65536), help="Size of a learned embedding.  [default: none]"),
    option("--vocabulary", type=Whole(1, 100_000), default=65, show_default=True, help="Number of characters."),
)
@section(
    "The measurement",
    option(
        "--batch-size", type=Whole(1, 1_000_000), default=_DEFAULTS.batch_size, show_default=True,
        help="Rows of the batch.",
    ),
    option(
        "--seq-len", type=Whole(1, 1_000_000), default=_DEFAULTS.seq_len, show_default=True, help="Steps of a window."
    ),
    option("--seconds", type=Number(0.01, 600), default=1.0, show_default=True, help="Time for each measurement."),
    option("--sweep", is_flag=True, help="Several batch sizes and numbers of threads, to choose from."),
)  # fmt: skip
@section("General", threads_option, json_option)
def bench(checkpoint, hidden, layers, embedding, vocabulary, batch_size, seq_len, threads, **options):
    """Measure how fast this machine is at the model in CHECKPOINT, or at a model of the sizes given.

    It shows characters a second in training, evaluation and writing one text; GFLOP/s, counting only the operations
    that the mathematics needs, and their share of this machine's peak; where the time goes; and memory.

    \b
    charrnn bench --hidden 512 --batch-size 64 --seq-len 100
    charrnn bench --sweep

    \f

    --json writes an object for each measurement: config, batch_size, seq_len, threads, training_chars_per_s,
    evaluation_chars_per_s, sampling_chars_per_s, gflops, peak_gflops, share_of_peak, parts, memory_bytes.
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.commands.loading import announced_compilation
    from charrnn.config import ModelConfig
    from charrnn.display.terminal import numbers
    from charrnn.display.terminal.console import Terminal
    from charrnn.display.terminal.progress_bar import progress_bar
    from charrnn.display.terminal.tables import key_values, table
    from charrnn.network.cells import cell_of
    from charrnn.system.threads import available_threads
    from charrnn.training import memory
    from charrnn.training.speed import measure

    as_json, seconds, sweep = options["as_json"], options["seconds"], options["sweep"]
    terminal = Terminal(json=as_json)
    announced_compilation(terminal)
    model = ModelConfig(vocabulary, hidden, layers, embedding)
    if checkpoint:
        model = load_checkpoint(checkpoint, warn=terminal.warn).model
    most = threads or available_threads()
    cases = [(batch_size, most)]
    if sweep:
        counts = sorted({1, most}) if threads is None else [threads]
        cases = [(size, count) for size in (8, 16, 32, 64, 128) for count in counts]
    for size, _ in cases:
        memory.check(model, TrainConfig(batch_size=size, seq_len=seq_len))
    timings = []
    with progress_bar(terminal, "Measuring") as report:
        for size, count in cases:
            report(len(timings), len(cases))
            timings.append(measure(model, size, seq_len, count, seconds))
    if as_json:
        for timing in timings:
            terminal.json(_as_dict(timing))
        return
    name = (
        f"{cell_of(model).title}, {model.layers} x {model.hidden}, {model.vocabulary} characters, windows of {seq_len}"
    )
    if sweep:
        rows = [
            (timing.batch_size, timing.threads, round(timing.training), f"{timing.flops / 1e9:.0f}",
             f"{timing.flops / timing.peak:.0%}", numbers.memory(timing.memory))
            for timing in timings
        ]  # fmt: skip
        columns = ("batch size", "threads", "training chars/s", "GFLOP/s", "of peak", "memory")
        terminal.show(name, "", *table(columns, rows, terminal.width))
        terminal.show("", "A larger batch takes fewer steps for an epoch: it may need a higher --lr or more epochs.")
        return
    (timing,) = timings
    peak = f"{timing.flops / timing.peak:.0%} of the {timing.peak / 1e9:.0f} that its registers can do"
    shares = ", ".join(f"{part} {share:.1%}" for part, share in timing.parts.items())
    pairs = [
        ("model", f"{name}, batch of {timing.batch_size}"),
        ("threads", str(timing.threads)),
        ("training", f"{timing.training:,.0f} characters a second"),
        ("", f"{timing.flops / 1e9:.0f} GFLOP/s, {peak}"),
        ("where it goes", shares),
        ("evaluation", f"{timing.evaluation:,.0f} characters a second"),
        ("writing", f"{timing.sampling:,.0f} characters a second, one text"),
        ("memory", numbers.memory(timing.memory)),
    ]
    terminal.show(*key_values(pairs, terminal.width))


def _as_dict(timing) -> dict:
    return {
        "config": timing.config.to_dict(),
        "batch_size": timing.batch_size,
        "seq_len": timing.seq_len,
        "threads": timing.threads,
        "training_chars_per_s": timing.training,
        "evaluation_chars_per_s": timing.evaluation,
        "sampling_chars_per_s": timing.sampling,
        "gflops": timing.flops / 1e9,
        "peak_gflops": timing.peak / 1e9,
        "share_of_peak": timing.flops / timing.peak,
        "parts": timing.parts,
        "memory_bytes": timing.memory,
    }
