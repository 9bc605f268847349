"""A character-level Transformer in PyTorch, with weights from charrnn: python MODULE.py fables.pt "The fox " 300 0.8

B texts of T characters are read side by side; H columns in heads of d = H / heads; C is the context.  A character
attends to itself and to the C - 1 characters before it.  PyTorch 2.4 or newer is needed.
"""

import json
import math
import sys

import torch
from torch import nn
from torch.nn.functional import dropout, linear, rms_norm, scaled_dot_product_attention, silu

EPSILON = 1e-5  # of RMSNorm
BASE, TURN = 10_000.0, 2**23  # rotary positions: wavelengths from 2π to 2π · BASE; angles are multiples of 2π / TURN
BEGINNING = ((), 0)  # the state of a text that begins


def rotation(start, steps, width):
    """Cosine and sine (T, ⌊d/2⌋) of the angles by which pairs of a head's d columns turn at T positions."""
    theta = BASE ** (-2 * torch.arange(width // 2, dtype=torch.float64) / width)
    whole = torch.round(theta * TURN / (2 * math.pi)).long()
    angle = torch.arange(start, start + steps)[:, None] * whole % TURN * (2 * math.pi / TURN)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    """Turn each pair (i, i + d // 2) of the columns of x (B, heads, T, d); the last column of an odd d stays."""
    first, second, rest = x.tensor_split((cos.shape[1], 2 * cos.shape[1]), dim=3)
    return torch.cat([first * cos - second * sin, first * sin + second * cos, rest], dim=3)


class Layers(nn.Module):
    """The layers: each adds to the stream x (B, T, H) what attention finds, and then what its MLP makes of it."""

    def __init__(self, hidden, layers, heads, context, dropout=0.0):
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
        self.rotation = rotation(0, context, hidden // heads)

    def attend(self, q, k, v):
        """softmax(q kᵀ / √d) v for q (B, heads, T, d) of the last T characters, and k and v (B, heads, S, d) of all."""
        steps, read, dropped = q.shape[2], k.shape[2], self.dropout if self.training else 0.0
        if steps == read <= self.context:
            return scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropped)
        seen = torch.ones(steps, read, dtype=torch.bool).tril(read - steps).triu(read - steps + 1 - self.context)
        return scaled_dot_product_attention(q, k, v, attn_mask=seen, dropout_p=dropped)

    def forward(self, x, state=None):
        """What the head reads (B, T, H), and the next state. Without a state, as in training, none is kept."""
        before, start = state or BEGINNING
        steps, size, kept = x.shape[1], (self.hidden,), []
        x = dropout(x, self.dropout, self.training)
        if start + steps <= self.context:
            cos, sin = (part[start : start + steps] for part in self.rotation)
        else:
            cos, sin = rotation(start, steps, self.hidden // self.heads)
        for layer in range(self.layers):
            names = ("g_att", "w_qkv", "w_att", "g_mlp", "w_up", "w_down")
            g_att, w_qkv, w_att, g_mlp, w_up, w_down = (getattr(self, f"{name}_l{layer}") for name in names)
            n = rms_norm(x, size, g_att, EPSILON)
            q, k, v = linear(n, w_qkv).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            if before:
                k, v = (torch.cat(each, dim=2) for each in zip(before[layer], (k, v), strict=True))
            if state:
                kept.append((k[:, :, 1 - self.context :], v[:, :, 1 - self.context :]))
            a = self.attend(q, k, v).transpose(1, 2).flatten(2)
            x = x + dropout(linear(a, w_att), self.dropout, self.training)
            m = rms_norm(x, size, g_mlp, EPSILON)
            gate, up = linear(m, w_up).chunk(2, dim=2)
            x = x + dropout(linear(silu(gate) * up, w_down), self.dropout, self.training)
        return rms_norm(x, size, self.g_out, EPSILON), state and (kept, start + steps)


class Transformer(nn.Module):
    """Reads ids (T, B). Gives logits (T, B, V) of the character after each, and the state.

    The state has the keys and the values of the last S characters, a pair for each layer, each (B, heads, S, d), and
    the position of the next character. S is C - 1, or less near the beginning.
    """

    def __init__(self, vocabulary, hidden, layers, heads, context, dropout=0.0):
        """V characters, L layers of H columns."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.transformer = Layers(hidden, layers, heads, context, dropout)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, ids, state=None):
        """Without a state the text begins: the first character has nothing before it."""
        x, state = self.transformer(self.embedding(ids.T), state or BEGINNING)
        return self.head(x).transpose(0, 1), state


class CharTransformer(Transformer):
    """A Transformer with trained weights, which knows its characters."""

    def __init__(self, weights):
        """Sizes are those of ``weights``, a state dict. Its "vocabulary" (V,) has code points, or bytes as uint8."""
        layers = sum(name.startswith("transformer.w_qkv") for name in weights)
        heads, context = int(weights["heads"]), int(weights["context"])
        super().__init__(*weights["embedding.weight"].shape, layers, heads, context)
        for name in ("vocabulary", "heads", "context"):
            self.register_buffer(name, weights[name])
        self.load_state_dict(weights)

    @torch.no_grad()
    def sample(self, prime, length, temperature):
        """A text that goes on from ``prime``: each character is drawn from the softmax of the logits."""
        symbols, is_bytes = self.vocabulary.tolist(), self.vocabulary.dtype == torch.uint8
        ids = torch.tensor([symbols.index(each) for each in (prime.encode() if is_bytes else map(ord, prime))])
        state, written = None, []
        for _ in range(length):
            logits, state = self(ids[:, None], state)
            ids = torch.multinomial((logits[-1, 0] / temperature).softmax(dim=0), 1)
            written.append(symbols[ids])
        return bytes(written).decode(errors="replace") if is_bytes else "".join(map(chr, written))


def load(path):
    """The model in a .pt file, or in a .safetensors file of charrnn's."""
    if path.endswith(".pt"):
        return CharTransformer(torch.load(path, weights_only=True))
    from safetensors import safe_open
    from safetensors.torch import load_file

    names = ("embedding.", "transformer.", "head.")
    weights = {name: value for name, value in load_file(path).items() if name.startswith(names)}
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["charrnn"])
    symbols, config = about["vocabulary"], about["config"]
    heads = config.get("heads") or next(heads for heads in (4, 3, 2, 1) if config["hidden"] % heads == 0)
    weights |= {"heads": torch.tensor(heads), "context": torch.tensor(config.get("context") or 64)}
    is_bytes = isinstance(symbols[0], int)
    weights["vocabulary"] = torch.tensor(symbols, dtype=torch.uint8) if is_bytes else torch.tensor([*map(ord, symbols)])
    return CharTransformer(weights)


if __name__ == "__main__":
    path, prime, length, temperature = sys.argv[1:]
    print(prime + load(path).sample(prime, int(length), float(temperature)))
