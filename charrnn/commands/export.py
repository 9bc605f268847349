"""``charrnn export``: a model to give away, also to people with other tools."""

import sys
from pathlib import Path

import click

from charrnn.commands.help import option
from charrnn.commands.options import checkpoint_argument, ngrams_option, quiet_option
from charrnn.commands.types import OutputFileOrFolder
from charrnn.commands.work import Work, command

ENDINGS = OWN, PYTORCH, ONNX, PAGE = ".safetensors", ".pt", ".onnx", ".html"
_IMPORTED = ("torch", "safetensors", "numpy")  # by the module beside a .pt file


@command(
    Work,
    checkpoint_argument,
    click.argument("file", type=OutputFileOrFolder(*ENDINGS), metavar="FILE|FOLDER"),
    option("--page", is_flag=True, help="FILE is a page, .html: the ending says it, too."),
    option(
        "--bits", type=click.Choice(["8", "16", "32"]),
        help="Bits of a weight in a page.  [default: 16; 8 if the page would be larger than 1 MB]",
    ),
    option("--force", is_flag=True, help="Replace files that are there."),
    ngrams_option("Keep the n-grams, which hold the training text. Only .safetensors has a place for them.", "off"),
    quiet_option,
)  # fmt: skip
def export(work: Work) -> None:
    """Write the best weights of CHECKPOINT to FILE or FOLDER. The ending says for whom:

    \b
    .safetensors  charrnn: sample, inspect and evaluate
    .pt           PyTorch: a state dict; FILE.py computes it
    .onnx         ONNX: the state is input and output
    .html         a browser: a page with writing and cells
    no ending     Hugging Face: a folder, with a card

    Left out are data that only a resume needs, the training text, which n-grams learn, and your folders: only the names
    of the text's files stay. A .pt needs the library torch, an .onnx the library onnx.

    \b
    charrnn export fables fables.safetensors
    charrnn export fables --page fables.html
    charrnn export fables fables.pt  &&  python fables.py fables.pt "The fox" 300 0.8
    """
    from charrnn.checkpoints.run_folder import load_checkpoint
    from charrnn.errors import CheckpointError, ConfigError, os_errors_as
    from charrnn.system.files import write_folder_durably

    target, options = work.options["file"], work.options
    ending, with_ngrams = target.suffix.lower(), options["ngrams"] == "on"
    if with_ngrams and ending != OWN:
        raise ConfigError(f"{target}: only a {OWN} file has a place for n-grams: leave --ngrams out")
    _check_page(target, options)
    _check(target, options["force"])
    found = load_checkpoint(options["checkpoint"], warn=work.terminal.warn)
    if with_ngrams and found.ngrams is None:
        raise ConfigError(f"{options['checkpoint']}: it has no n-grams")
    files = {target.name: _page(work, found)} if ending == PAGE else _files(target, found, with_ngrams)
    with os_errors_as(CheckpointError, f"{target}: cannot be written"):
        write_folder_durably(target.parent if ending in ENDINGS else target, files)
    size = sum(map(len, files.values())) / 1e6
    also = f" and {target.with_suffix('.py')}" if ending == PYTORCH else ""
    work.terminal.note(f"wrote {target}{also} ({size:,.1f} MB)")
    if found.ngrams is not None and not with_ngrams:
        also = " --ngrams on takes them along." if ending == OWN else ""
        work.terminal.note(f"The network is exported alone: the n-grams that its run mixed with it are left out.{also}")


def _check_page(target: Path, options) -> None:
    """Refuse what contradicts the ending.

    Raises:
        UsageError: --page or --bits is given for another kind of file.
    """
    if target.suffix.lower() != PAGE:
        if options["page"]:
            raise click.UsageError(f"{target}: the name of a page ends in {PAGE}.")
        if options["bits"] is not None:
            raise click.UsageError(f"--bits is for a page: give FILE a name that ends in {PAGE}, or leave it out.")


def _page(work: Work, found) -> bytes:
    """The page, and a note about its weights."""
    from charrnn.commands.live_page import live_page, name_of

    bits = work.options["bits"]
    content, note = live_page(found, name_of(work.options["checkpoint"]), bits and int(bits))
    work.terminal.note(note)
    return content


def _check(target: Path, force: bool) -> None:
    """Say what is missing or in the way before the work begins.

    Raises:
        ConfigError: a library is not installed, a file is there and ``force`` is not given, or the module beside a .pt
            file would have the name of another module.
    """
    from charrnn.errors import ConfigError
    from charrnn.system.libraries import require

    ending, written = target.suffix.lower(), [target]
    if ending == ONNX:
        require("onnx", "an .onnx file")
    elif ending == PYTORCH:
        require("torch", "a .pt file")
        written.append(target.with_suffix(".py"))
        if target.stem in sys.stdlib_module_names or target.stem in _IMPORTED:
            raise ConfigError(f"{target}: {written[-1].name} would hide the module {target.stem}: choose another name")
    if force:
        return
    for path in written:
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise ConfigError(f"{path} is there already: give --force to replace {'it' if path.is_file() else 'files'}")


def _files(target: Path, checkpoint, with_ngrams: bool) -> dict[str, bytes]:
    """The contents of the files to write, by name."""
    ending = target.suffix.lower()
    if ending == OWN:
        return {target.name: checkpoint.shared(with_ngrams).to_bytes()}
    if ending == ONNX:
        from charrnn.checkpoints.foreign.to_onnx import onnx_file

        return {target.name: onnx_file(checkpoint)}
    if ending == PYTORCH:
        from charrnn.checkpoints.foreign.to_pytorch import module_source, weights_file

        module = module_source(checkpoint.model.cell)
        return {target.with_suffix(".py").name: module, target.name: weights_file(checkpoint)}
    from charrnn.checkpoints.foreign.to_huggingface import folder_files

    return folder_files(checkpoint, target.resolve().name)
