"""The Transformer of charrnn as a PyTorch module: short enough to read, with a function that loads a trained model.

    import torch                                  # 2.4 or newer; safetensors is needed, too
    from transformer_module import load

    model, characters = load("checkpoints/fables/best.safetensors")
    ids = torch.tensor([[characters.index(letter) for letter in "The fox "]])
    chances = model(ids)[0, -1].softmax(0)        # of each character to be the next one

B texts of T characters are read side by side; H columns in ``heads`` heads of d = H / heads; C = ``context``.  A
character attends to itself and to the C - 1 characters before it.  ``charrnn`` keeps the keys and values of characters
that it has read (a cache); this module computes them anew for every text, and gives the same logits.

Parameters are named as in a checkpoint, and matrices are stored as (outputs, inputs), as PyTorch's ``Linear`` does.
docs/MODEL.md and docs/CELLS.md have the equations.
"""

import json
import math

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, rms_norm, scaled_dot_product_attention, silu

EPSILON = 1e-5  # of RMSNorm
BASE, TURN = 10_000.0, 2**23  # rotary positions: wavelengths from 2π to 2π · BASE; angles are multiples of 2π / TURN


def rotation(steps: int, width: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine (T, ⌊d/2⌋) of the angles by which the pairs of a head's d columns turn at each position."""
    theta = BASE ** (-2 * torch.arange(width // 2, dtype=torch.float64) / width)
    whole = torch.round(theta * TURN / (2 * math.pi)).long()
    angle = torch.arange(steps)[:, None] * whole % TURN * (2 * math.pi / TURN)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + d // 2) of the columns of x (B, heads, T, d); the last column of an odd d stays."""
    first, second, rest = x.tensor_split((cos.shape[1], 2 * cos.shape[1]), dim=3)
    return torch.cat([first * cos - second * sin, first * sin + second * cos, rest], dim=3)


class Layers(nn.Module):
    """The layers: each adds to the stream x (B, T, H) what attention finds, and then what its MLP makes of it."""

    def __init__(self, hidden: int, layers: int, heads: int, context: int, dropout: float = 0.0):
        super().__init__()
        self.hidden, self.layers, self.heads, self.context, self.dropout = hidden, layers, heads, context, dropout
        mlp = 64 * math.ceil(hidden / 24)  # F, about 8H/3: three matrices (H, F) have the size of the usual two (H, 4H)
        matrices = {"w_qkv": (3 * hidden, hidden), "w_att": (hidden, hidden)}
        matrices |= {"w_up": (2 * mlp, hidden), "w_down": (hidden, mlp)}
        for k in range(layers):
            for name in ("g_att", "g_mlp"):
                self.register_parameter(f"{name}_l{k}", nn.Parameter(torch.ones(hidden)))
            for name, shape in matrices.items():
                self.register_parameter(f"{name}_l{k}", nn.Parameter(torch.randn(shape) / math.sqrt(shape[1])))
        self.g_out = nn.Parameter(torch.ones(hidden))
        self.rotation = rotation(context, hidden // heads)

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """softmax(q kᵀ / √d) v over the last C characters, for q, k, v (B, heads, T, d)."""
        steps, dropped = q.shape[2], self.dropout if self.training else 0.0
        if steps <= self.context:
            return scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropped)
        seen = torch.ones(steps, steps, dtype=torch.bool).tril().triu(1 - self.context)
        return scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropped)

    def forward(self, x: Tensor) -> Tensor:
        """What the head reads, (B, T, H)."""
        steps, size = x.shape[1], (self.hidden,)
        x = dropout(x, self.dropout, self.training)
        if steps <= self.context:
            cos, sin = (part[:steps] for part in self.rotation)
        else:
            cos, sin = rotation(steps, self.hidden // self.heads)
        for layer in range(self.layers):
            names = ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down")
            g_att, w_qkv, w_att, g_mlp, w_up, w_down = (getattr(self, f"{name}_l{layer}") for name in names)
            n = rms_norm(x, size, g_att, EPSILON)
            q, k, v = linear(n, w_qkv).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            a = self.attend(rotate(q, cos, sin), rotate(k, cos, sin), v).transpose(1, 2).flatten(2)
            x = x + dropout(linear(a, w_att), self.dropout, self.training)
            m = rms_norm(x, size, g_mlp, EPSILON)
            gate, up = linear(m, w_up).chunk(2, dim=2)
            x = x + dropout(linear(silu(gate) * up, w_down), self.dropout, self.training)
        return rms_norm(x, size, self.g_out, EPSILON)


class Transformer(nn.Module):
    """V characters, L layers of H columns: logits of the next character at every place."""

    def __init__(self, vocabulary: int, hidden: int, layers: int, heads: int, context: int, dropout: float = 0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.transformer = Layers(hidden, layers, heads, context, dropout)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) for ids (B, T); the first character of each text has nothing before it."""
        return self.head(self.transformer(self.embedding(ids)))


def load(path: str) -> tuple[Transformer, list[str | int]]:
    """The model in a checkpoint of charrnn, and its characters by id: strings, or numbers for a model of bytes."""
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["charrnn"])
        names = [name for name in file.keys() if name.startswith(("embedding.", "transformer.", "head."))]  # noqa: SIM118
        tensors = {name: file.get_tensor(name) for name in names}
    config = about["config"]
    heads = config.get("heads") or next(heads for heads in (4, 3, 2, 1) if config["hidden"] % heads == 0)
    model = Transformer(config["vocabulary"], config["hidden"], config["layers"], heads, config.get("context") or 64)
    model.load_state_dict(tensors)
    return model.eval(), about["vocabulary"]
