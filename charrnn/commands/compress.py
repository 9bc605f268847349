"""``charrnn compress``: any files, with what a model expects."""

from pathlib import Path

import click

from charrnn.commands import compiled
from charrnn.commands.compressed_files import Files, force_option, output_option
from charrnn.commands.help import option, section
from charrnn.commands.input_files import files_argument
from charrnn.commands.options import general_options, online_config, online_options
from charrnn.commands.types import GIVEN, CheckpointPath, Whole
from charrnn.commands.work import command
from charrnn.config import DynamicEvaluationConfig

ENDING = ".crnn"


class Compressing(Files):
    """Files to compress."""

    message = "Compressing"

    def output_of(self, name: str) -> str:
        """The name of the compressed file."""
        return f"{name}{ENDING}"

    def open(self) -> None:
        """Load the model, or make the network that begins from scratch."""
        from charrnn.model.compressing import method_of

        options = self.options
        online = online_config(DynamicEvaluationConfig, options, options["online"])
        if options["checkpoint"] is None:
            from charrnn.compression.scratch import ScratchMethod

            self.announce_compilation()
            self.method = ScratchMethod(threads=options["threads"])
            return
        beside = [compiled.coding_with_ngrams] if options["ngrams"] else []
        self.load(compiled.coding, *beside, *([compiled.learning_on] if online else []))
        name = click.get_current_context().meta[f"{GIVEN}checkpoint"]
        self.method = method_of(self.model, Path(name).stem, online, options["with_model"], options["ngrams"])

    def require_output(self) -> None:
        """Refuse to write to a terminal, unless that is forced."""
        if self.terminal.stdout_is_terminal and not self.options["force"]:
            raise click.UsageError("Compressed data are not written to a terminal: name a file with -o, or pipe them.")

    def run(self, source, sink, size, progress):
        """Compress one file."""
        from charrnn.compression.compressor import compress

        return compress(source, sink, self.method, self.options["streams"], size, progress)


@command(
    Compressing,
    files_argument,
    section(
        "The model",
        option(
            "--model", "checkpoint", type=CheckpointPath(), metavar="CHECKPOINT",
            help="Compress with this model, which must be there to decompress.",
        ),
        option("--with-model", is_flag=True, help="--model: put the model into the compressed file."),
        option(
            "--from-scratch", is_flag=True,
            help="Compress with a network that learns from nothing while it reads. The default without --model.",
        ),
        option("--online", is_flag=True, help="--model: have it go on learning while it reads. Smaller, and slower."),
        option(
            "--ngrams", is_flag=True,
            help="--model: mix it with n-grams that learn the file while it is read. Smaller; one stream.",
        ),
        *online_options(
            DynamicEvaluationConfig, "--online", "characters that are coded with the same weights", "so many characters"
        ),
    ),
    section(
        "Output",
        output_option("FILE.crnn"),
        force_option,
        option(
            "--streams", type=Whole(1, 256),
            help="Parts that are coded side by side. More are faster, and a little larger.  "
            "[default: one for 32 KiB, at most 64; 1 where something learns]",
        ),
    ),
    general_options,
)  # fmt: skip
def compress(work: Compressing) -> None:
    """Compress each FILE to FILE.crnn, which is smaller the better a model predicts the file. FILE stays.

    Any bytes can be compressed, without loss. A good model of the same kind of text, --model with --ngrams, gives the
    smallest files, in which only its hash is kept: keep the model, or put it in with --with-model. --model alone is
    the fastest. Without FILE, standard input is compressed to standard output.

    \b
    charrnn compress novel.txt --model fables
    charrnn decompress novel.txt.crnn
    cat *.log | charrnn compress > logs.crnn

    \f

    --json writes an object for each file: file, output, original and compressed (bytes), seconds.
    """
    options = work.options
    if options["checkpoint"] is None:
        if options["with_model"]:
            raise click.UsageError("--with-model needs --model.")
        if options["ngrams"]:
            raise click.UsageError("--ngrams needs --model; from scratch there are n-grams in any case.")
        if online_config(DynamicEvaluationConfig, options, options["online"]):
            raise click.UsageError("--online needs --model; from scratch a network learns in any case.")
    elif options["from_scratch"]:
        raise click.UsageError("--from-scratch and --model exclude each other.")
    work.all()
