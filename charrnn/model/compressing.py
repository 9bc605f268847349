"""How a model compresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.checkpoints.identity import identity
from charrnn.compression.compressor import Method
from charrnn.compression.container import Header
from charrnn.config import DynamicEvaluationConfig
from charrnn.errors import CompressedError, ConfigError
from charrnn.network.network import Network

if TYPE_CHECKING:
    from charrnn.model.model import Model


def method_of(
    model: Model,
    name: str = "",
    online: DynamicEvaluationConfig | None = None,
    with_model: bool = False,
    ngrams: bool = False,
) -> Method:
    """The method of compression with a model.

    Args:
        model: says how likely each character is.
        name: of its checkpoint, for the message that says which one is missing.
        online: how the network goes on learning while it reads, or None.
        with_model: whether compressed files hold the model.
        ngrams: whether n-grams that learn the file are mixed with the network.

    Raises:
        ConfigError: the model is an ensemble, or a mixture.
    """
    network, vocabulary = model.network, model.vocabulary
    if not isinstance(network, Network):
        raise ConfigError("only a single network compresses: an ensemble and n-grams have other bits elsewhere")
    packed = model._shared(with_ngrams=False).to_bytes() if with_model else b""
    wanted = identity(network.config, vocabulary, dict(network.parameters.items()))
    return Method(network, vocabulary, wanted, name, online, packed, ngrams)


def method_for(model: Model, header: Header) -> Method:
    """The method of a compressed file that this model has compressed.

    Raises:
        CompressedError: it is compressed with another model, or from scratch.
        ConfigError: the model is an ensemble, or a mixture.
    """
    method = method_of(model, online=header.online, ngrams=header.ngrams)
    if header.identity != method.identity:
        raise CompressedError(f"it is compressed {header.description()}, not with this model")
    return method
