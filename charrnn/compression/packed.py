"""A model inside a compressed file."""

import io

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.identity import identity_of
from charrnn.compression.container import Header
from charrnn.errors import CharRNNError, CompressedError


def unpacked(packed: bytes, header: Header) -> Checkpoint:
    """The checkpoint that ``packed`` are, which may come from anybody.

    Raises:
        CompressedError: it is damaged, or not the model that the header names.
    """
    try:
        found = Checkpoint.read(io.BytesIO(packed))
    except CharRNNError as error:
        raise CompressedError(f"the model inside: {error}") from None
    if identity_of(found) != header.identity:
        raise CompressedError("damaged (the model inside is not the one that its header names)")
    return found
