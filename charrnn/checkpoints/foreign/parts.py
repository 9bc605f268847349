"""The weights of a language model as another program has them, and how they become parameters."""

from dataclasses import dataclass, field

import numpy as np

from charrnn.checkpoints.foreign.tensors import Tensor
from charrnn.checkpoints.pytorch import from_torch, torch_shapes
from charrnn.config import ModelConfig
from charrnn.errors import CheckpointError, brief
from charrnn.network.cell import Cell
from charrnn.network.cells import is_bias, parameter_shapes
from charrnn.system import memory


@dataclass(frozen=True)
class Parts:
    """Tensors that together are a language model, not yet read.

    Attributes:
        program: which program wrote them, for people.
        cell: the kind of cell.
        tensors: by the names of :mod:`charrnn.checkpoints.pytorch`.  Biases may be missing: then they are 0.
        gates: where the gates of the cell are among the gates in the rows of the tensors; () if they are in order.
        about: which tensors of the file they are, in phrases for people.
        symbols: the symbols by id, if the program keeps them beside the weights.
        sizes: what of :class:`charrnn.config.ModelConfig` no shape tells.
    """

    program: str
    cell: Cell
    tensors: dict[str, Tensor]
    gates: tuple[int, ...] = ()
    about: tuple[str, ...] = ()
    symbols: list[str] | list[int] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """The types of the numbers."""
        return sorted({tensor.kind for tensor in self.tensors.values()})

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor; () if it is missing."""
        return self.tensors[name].shape if name in self.tensors else ()

    def model(self) -> ModelConfig:
        """The sizes of the network.

        Raises:
            CharRNNError: a tensor is missing or has another shape than it must have, or a size is out of range.
        """
        shapes = {name: tensor.shape for name, tensor in self.tensors.items()}
        layers = len({name.rpartition("_l")[2] for name in shapes if name.startswith(f"{self.cell.torch_module}.w")})
        for name in ("head.weight", "embedding.weight"):
            if len(shapes.get(name, (0, 0))) != 2:
                raise CheckpointError(f"the {name.partition('.')[0]} is not a matrix")
        if "head.weight" not in shapes:
            raise CheckpointError("there is no linear layer to characters")
        vocabulary, hidden = shapes["head.weight"]
        has_choice = "embedding.weight" in shapes and "embedding" not in self.cell.unused
        embedding = shapes["embedding.weight"][1] if has_choice else None
        model = ModelConfig(vocabulary, hidden, layers, embedding, self.cell.name, **self.sizes)
        if hidden % (model.heads or 1):
            raise CheckpointError(f"{model.heads} heads do not divide {hidden} columns")
        expected: set[str] = set()
        for name, shape in parameter_shapes(model).items():
            for each, wanted in torch_shapes(name, shape, self.cell).items():
                found = shapes.get(each, wanted if is_bias(name) else None)
                if found != wanted:
                    problem = f"has the shape {found}, not {wanted}" if found else "is missing"
                    raise CheckpointError(f"the tensor {brief(each)} {problem}")
                expected.add(each)
        if others := sorted(shapes.keys() - expected):
            raise CheckpointError(f"the tensor {brief(others[0])} is one too many")
        return model

    def parameters(self, model: ModelConfig, most: int) -> dict[str, np.ndarray]:
        """The parameters of ``model``, float32, with shapes as in :func:`charrnn.network.cells.parameter_shapes`.

        Args:
            model: what :meth:`model` returned.
            most: how many numbers there can be; a forged file could have the same ones in many tensors.

        Raises:
            CharRNNError: there are more, more than the machine has memory for, or a tensor is damaged.
        """
        count = sum(tensor.size for tensor in self.tensors.values())
        if count > most:
            raise CheckpointError(f"damaged ({count:,} weights in {most:,} bytes)")
        memory.require(3 * 4 * count, "its weights take", "import it on a larger machine")
        shapes = parameter_shapes(model)
        read = {name: self._in_order(name, tensor.to_float32()) for name, tensor in self.tensors.items()}
        biases = {name: torch_shapes(name, shape, self.cell) for name, shape in shapes.items() if is_bias(name)}
        zeros = {each: np.zeros(shape, np.float32) for tensors in biases.values() for each, shape in tensors.items()}
        return {name: from_torch(name, zeros | read, self.cell) for name in shapes}

    def _in_order(self, name: str, value: np.ndarray) -> np.ndarray:
        """The tensor with its gates in the order of the cell."""
        if not self.gates or not name.startswith(self.cell.torch_module):
            return value
        rows = np.arange(len(value)).reshape(len(self.gates), -1)
        return value[rows[list(self.gates)].ravel()]
