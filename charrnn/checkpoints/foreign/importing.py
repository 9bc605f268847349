"""Makes a checkpoint of a model that another program wrote: PyTorch, char-rnn or torch-rnn.

The first bytes of a file say what kind it is.  No code in it is executed.  Reading it takes at most ten times its size
and 200 MB of memory, whatever sizes it claims.
"""

import os
import re
from pathlib import Path
from typing import IO, Any

from charrnn.checkpoints.checkpoint import Checkpoint, check_values
from charrnn.checkpoints.foreign import char_rnn, pt_file, safetensors_file, state_dict, t7_file, vocabularies
from charrnn.checkpoints.foreign.parts import Parts
from charrnn.checkpoints.foreign.state_dict import Names
from charrnn.errors import CharRNNError, CheckpointError, ConfigError, os_errors_as
from charrnn.system import memory, strict_json
from charrnn.system.files import open_regular
from charrnn.text.vocabulary import Vocabulary

_START = 16  # bytes that show what kind of file it is


def import_model(
    path: Path, symbols: Vocabulary | Path | None = None, names: Names | None = None
) -> tuple[Checkpoint, str]:
    """The checkpoint of the model in ``path``, and a line for people about what was taken from it.

    Args:
        path: a file of PyTorch with a state dict (.safetensors, .pt), or a checkpoint of char-rnn or torch-rnn (.t7).
        symbols: the vocabulary, or a JSON file that has it; None takes it from the model's file.
        names: the tensors to take where a state dict leaves a choice.

    Raises:
        CharRNNError: the file cannot be read, is damaged, has no such model, has weights that are not finite, or leaves
            a choice open; or nobody says what the symbols are.
    """
    with os_errors_as(CheckpointError, f"{path}: cannot be read"), open_regular(path) as file:
        try:
            size = file.seek(0, os.SEEK_END)
            tree, parts = _read(file, size, names or Names())
            model = parts.model()
            parameters = parts.parameters(model, size)
            found = _own_vocabulary(tree, parts, model.vocabulary) if symbols is None else None
        except CharRNNError as error:
            kind = ConfigError if isinstance(error, ConfigError) else CheckpointError
            raise kind(f"{path}: {error}") from None
    if isinstance(symbols, Path):
        found = vocabularies.read(symbols, model.vocabulary)
    elif symbols is not None:
        found = symbols
    if found is None or len(found) != model.vocabulary:
        problem = "it does not say which characters they are" if found is None else f"the vocabulary has {len(found):,}"
        raise ConfigError(
            f"{path}: a model of {model.vocabulary:,} characters, and {problem}: give --vocabulary JSON, or "
            "--vocabulary-of TEXT with the text that it was trained on"
        )
    others = [kind for kind in parts.kinds if kind != "float32"]
    about = [parts.program, *parts.about, *([f"{' and '.join(others)} became float32"] if others else [])]
    checkpoint = Checkpoint(model, found, parameters=parameters, imported=f"{path.name} ({parts.program})")
    try:
        check_values(checkpoint.tensors(), model.vocabulary)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return checkpoint, ", ".join(about)


def _read(file: IO[bytes], size: int, names: Names) -> tuple[Any, Parts]:
    """The values of a file, and the model among them."""
    file.seek(0)
    start = file.read(_START)
    if safetensors_file.is_safetensors(start, size):
        tensors, metadata = safetensors_file.read(file)
        if "charrnn" in metadata:
            raise CheckpointError("a checkpoint of charrnn already: every command reads it as it is")
        tree: Any = tensors | {f"metadata {name}": _json(text) for name, text in metadata.items()}
        return tree, state_dict.find(tree, names)
    if pt_file.is_pytorch(start):
        tree = pt_file.read(file)
        return tree, state_dict.find(tree, names)
    if t7_file.is_torch7(start):
        memory.require(size, "reading it takes", "import it on a larger machine")
        file.seek(0)
        tree = t7_file.read(file.read())
        return tree, char_rnn.find(tree)
    if re.match(rb"[34]\r?\n", start):
        raise CheckpointError("a file of Torch 7 in text form: save it with torch.save(file, model, 'binary')")
    if start.startswith(b"\x80"):
        raise CheckpointError("a pickle, but not one that torch.save wrote: only files of PyTorch are read")
    raise CheckpointError("not a file of PyTorch (.pt, .pth, .safetensors) or of char-rnn or torch-rnn (.t7)")


def _json(text: str) -> Any:
    """The value of a JSON text, or the text if it is none."""
    try:
        return strict_json.parse(text)
    except ValueError:
        return text


def _own_vocabulary(tree: Any, parts: Parts, size: int) -> Vocabulary | None:
    """The vocabulary that the file has, or None."""
    return Vocabulary.from_list(parts.symbols) if parts.symbols else vocabularies.find(tree, size)
