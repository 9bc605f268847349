"""The network that begins from scratch: its sizes, and how it learns while it reads, in numbers that a file holds."""

from typing import NamedTuple

from charrnn.errors import CompressedError


class Recipe(NamedTuple):
    """A network of bytes, and how it learns.

    Attributes:
        hidden: H.
        layers: L.
        steps: bytes that are coded with the same weights, and then learnt from.
        warmup: updates until the learning rate has risen to its peak.
        rate: the peak of the learning rate.
    """

    hidden: int = 128
    layers: int = 1
    steps: int = 32
    warmup: int = 50
    rate: float = 2e-3

    def require_valid(self) -> None:
        """Refuse numbers that are not a network of a usual size.

        Raises:
            CompressedError: one is out of range.
        """
        sizes = 1 <= self.hidden <= 512 and 1 <= self.layers <= 4 and 1 <= self.steps <= 1024
        if not (sizes and self.warmup >= 1 and 0 < self.rate <= 1):
            raise CompressedError("damaged (the recipe of its network is impossible)")
