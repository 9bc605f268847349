"""``charrnn log``: the losses of a run for other programs."""

import click

from charrnn.commands.help import option
from charrnn.commands.options import quiet_option, run_argument
from charrnn.commands.types import OutputFileOrFolder
from charrnn.commands.work import Work, command

CSV, TENSORBOARD = "csv", "tensorboard"


@command(
    Work,
    run_argument,
    option("--to", type=click.Choice((CSV, TENSORBOARD)), default=CSV, help="The format."),
    option(
        "-o", "--output", type=OutputFileOrFolder(".csv"), metavar="FILE.csv|FOLDER",
        help="What to write.  [default: standard output for csv, the folder RUN/tensorboard for tensorboard]",
    ),
    quiet_option,
)  # fmt: skip
def log(work: Work) -> None:
    """Write the losses of the run in the folder RUN for spreadsheets and plots, or for TensorBoard.

    A CSV table has the columns event, step, epoch, elapsed_s, characters, loss, bpc, lr, grad_norm, chars_per_s,
    val_loss and val_bpc. A row is a step, or an evaluation (event "evaluated") with val_loss. Losses are in nats per
    character, bpc is in bits, times are in seconds; what a row does not have is empty.

    TensorBoard gets a folder with two runs of its own, training and validation, whose losses lie over each other.

    \b
    charrnn log demo > losses.csv
    charrnn log demo --to tensorboard  &&  tensorboard --logdir checkpoints
    """
    from charrnn.checkpoints.run_names import require_run
    from charrnn.errors import CheckpointError, os_errors_as
    from charrnn.system.files import write_durably, write_folder_durably

    run, output = work.options["checkpoint"], work.options["output"]
    require_run(run)
    if work.options["to"] == TENSORBOARD:
        from charrnn.checkpoints.foreign.to_tensorboard import event_files

        output = output or run / "tensorboard"
        if output.suffix.lower() == ".csv":
            raise click.UsageError(f"{output}: TensorBoard reads a folder: give --output a name without an ending.")
        files = event_files(run)
        if not files:
            raise CheckpointError(f"{run}: its log has no losses yet")
        with os_errors_as(CheckpointError, f"{output}: cannot be written"):
            write_folder_durably(output, files)
        work.terminal.note(f"wrote {output}: tensorboard --logdir {output}")
        return
    from charrnn.checkpoints.foreign.to_csv import csv_parts

    if output is None:
        for part in csv_parts(run):
            work.write(part)
        return
    if output.suffix.lower() != ".csv":
        raise click.UsageError(f"{output}: CSV is a file: give --output a name that ends in .csv.")
    with os_errors_as(CheckpointError, f"{output}: cannot be written"):
        write_durably(output, "".join(csv_parts(run)).encode())
    work.terminal.note(f"wrote {output}")
