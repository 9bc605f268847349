"""``charrnn decompress``: the files that ``charrnn compress`` has compressed."""

from typing import Any

import click

from charrnn.commands.compress import ENDING
from charrnn.commands.compressed_files import Files, force_option, naming, opened, output_option
from charrnn.commands.help import option
from charrnn.commands.input_files import files_argument, for_each, shown
from charrnn.commands.options import general_options
from charrnn.commands.types import CheckpointPath
from charrnn.commands.work import command


class Decompressing(Files):
    """Files to decompress, to test, or to list."""

    message = "Decompressing"

    def output_of(self, name: str) -> str:
        """The name of the original."""
        if not name.endswith(ENDING) or name == ENDING:
            raise click.UsageError(
                f"{name!r} does not end in {ENDING}. If compress wrote it, name the file to write with -o."
            )
        return name.removesuffix(ENDING)

    def open(self) -> None:
        """Find kernels when the first file has said which it needs."""
        self.announce_compilation()

    def run(self, source, sink, size, progress):
        """Decompress one file."""
        from charrnn.compression.compressor import decompress

        return decompress(source, sink, self._method_of, progress, size)

    def test(self, name: str) -> None:
        """Decompress one file to nowhere."""
        with naming(name), opened(name) as (source, size), self.bar(f"Testing {shown(name)}") as progress:
            totals = self.run(source, _Nowhere(), size, progress)
        if self.terminal.wants_json:
            about = {"original": totals.original, "compressed": totals.compressed}
            self.terminal.json({"file": name, "ok": True} | about)
        else:
            self.terminal.note(f"{shown(name)}: OK")

    def list_files(self) -> None:
        """Show what each file says of itself. One that cannot be read is said, and the others are listed."""
        records: list[dict[str, Any]] = []

        def read(name: str) -> None:
            from charrnn.compression.compressor import listing

            with naming(name), opened(name) as (source, _):
                records.append(_record(name, listing(source)))

        try:
            for_each(self.terminal, [(name,) for name in self.names], read)
        finally:
            self._show(records)

    def _show(self, records: list[dict[str, Any]]) -> None:
        from charrnn.display.reports.compressed import listing_lines

        if records:
            self.show(records, listing_lines(records, self.terminal.width))

    def _method_of(self, header, packed: bytes):
        """The method of a file: from scratch, or with the model that it has, or that is given, or that is found.

        Raises:
            CharRNNError: the model is not there.
        """
        from charrnn.checkpoints.identity import find_model, identity_of
        from charrnn.checkpoints.run_folder import load_checkpoint
        from charrnn.compression import compressor
        from charrnn.compression.packed import unpacked
        from charrnn.errors import CompressedError
        from charrnn.model import Model
        from charrnn.model.compressing import method_for
        from charrnn.network.network import Network

        threads, given = self.options["threads"], self.options["checkpoint"]
        if header.recipe is not None:
            from charrnn.compression.scratch import ScratchMethod

            return ScratchMethod(header.recipe, threads)
        if packed:
            checkpoint = unpacked(packed, header)
        elif given is not None:
            checkpoint = load_checkpoint(given, warn=self.terminal.warn)
            if identity_of(checkpoint) != header.identity:
                raise CompressedError(f"it is compressed {header.description()}, and {given} is another model")
        else:
            checkpoint = find_model(header.identity, header.name)
            if checkpoint is None:
                raise CompressedError(
                    f"it is compressed {header.description()}, which is not among the runs here: give it with --model"
                )
        Network.prepare(
            checkpoint.model, *compressor.kernels(checkpoint.model, header.online is not None, header.ngrams)
        )
        return method_for(Model.from_checkpoint(checkpoint, threads), header)


class _Nowhere:
    """A sink that drops everything."""

    def write(self, data: bytes) -> None:
        """Take bytes."""


@command(
    Decompressing,
    files_argument,
    option(
        "--model", "checkpoint", type=CheckpointPath(), metavar="CHECKPOINT",
        help="The model.  [default: found by its hash among the runs and in the file]",
    ),
    option("-t", "--test", is_flag=True, help="Decompress to nowhere, and say whether all is well."),
    option("-l", "--list", "lists", is_flag=True, help="List sizes, and the model that is needed; decode nothing."),
    output_option("FILE without .crnn"),
    force_option,
    general_options,
)  # fmt: skip
def decompress(work: Decompressing) -> None:
    """Write the original of each FILE.crnn to FILE; FILE.crnn stays.

    Every block is verified before it is written, and a file gets its name only when all of it is right. Without FILE,
    standard input is decompressed to standard output.

    \b
    charrnn decompress novel.txt.crnn
    charrnn decompress -l *.crnn
    charrnn decompress < logs.crnn | grep error

    \f

    --json writes an object for each file: file, output, original and compressed (bytes), seconds; with -t file, ok,
    original, compressed; with -l file, original, compressed, blocks, streams, method (model, online, scratch), ngrams,
    model, identity, packed (bytes of the model inside).
    """
    options = work.options
    if options["test"] and options["lists"]:
        raise click.UsageError("-t and -l exclude each other.")
    if (options["test"] or options["lists"]) and options["output"]:
        raise click.UsageError("-t and -l write no file: leave -o out.")
    if options["lists"]:
        work.list_files()
    elif options["test"]:
        work.open()
        for_each(work.terminal, [(name,) for name in work.names], work.test)
    else:
        work.all()


def _record(name: str, found) -> dict[str, Any]:
    """The listing of a file as a JSON object."""
    header, totals = found.header, found.totals
    method = "scratch" if header.recipe is not None else "online" if header.online is not None else "model"
    return {
        "file": name,
        "original": totals.original,
        "compressed": totals.compressed,
        "blocks": found.blocks,
        "streams": header.rows,
        "method": method,
        "ngrams": header.ngrams or header.recipe is not None,
        "model": header.name or None,
        "identity": header.identity.hex() or None,
        "packed": header.packed,
    }
