"""The heads of a Transformer: which there are, and a network without some of them."""

from collections.abc import Iterable

from charrnn.errors import ConfigError
from charrnn.inference.ensemble import Ensemble
from charrnn.network.network import Network

Head = tuple[int, int]
"""A layer and a head, both from 0."""


def require_attention(network: Network | Ensemble) -> tuple[int, int, int]:
    """L layers, N heads in each, and the C characters that a head looks at.

    Raises:
        ConfigError: the network has no attention, or it is an ensemble.
    """
    if isinstance(network, Ensemble):
        raise ConfigError("an ensemble has no heads of its own: look into its models one by one")
    heads, config = network.cell.heads(network.config), network.config
    if not heads:
        raise ConfigError(network.cell.no_attention)
    return config.layers, heads, network.cell.context(config)


def require_heads(network: Network | Ensemble, heads: Iterable[Head]) -> None:
    """Check that the network has ``heads``.

    Raises:
        ConfigError: it does not have one of them.
    """
    layers, number, _ = require_attention(network)
    for layer, head in heads:
        if not (0 <= layer < layers and 0 <= head < number):
            raise ConfigError(f"there is no head {layer}:{head}: layers are 0 to {layers - 1}, heads 0 to {number - 1}")


def silence(network: Network, heads: Iterable[Head]) -> Network:
    """A copy of ``network`` in which ``heads`` add nothing to the residual stream.  The original is untouched.

    Raises:
        ConfigError: there is no such head.
    """
    heads = list(heads)
    require_heads(network, heads)
    found = Network(network.config, seed=None, threads=network.team.threads)
    found.parameters.flat[:] = network.parameters.flat
    for layer, head in heads:
        found.cell.silence_head(found.parameters, found.config, layer, head)
    return found
