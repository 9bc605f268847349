"""A character-level capped LSTM in PyTorch, with weights from charrnn: python MODULE.py fables.pt "The fox " 300 0.8"""

import json
import sys

import torch
from torch import nn
from torch.nn.functional import one_hot


class CappedLSTM(nn.LSTM):
    """An LSTM whose input gate is at most 1 - f, so that c stays between -1 and 1. It has nn.LSTM's parameters."""

    def forward(self, x, state=None):
        """It is written out, because PyTorch has no module for it: x (T, B, D) becomes h (T, B, H), layer by layer."""
        h0, c0 = state or 2 * [x.new_zeros(self.num_layers, x.shape[1], self.hidden_size)]
        last_h, last_c = [], []
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(self.all_weights):
            h, c, outputs = h0[layer], c0[layer], []
            for z in x @ w_ih.T + b_ih + b_hh:
                i, f, g, o = (z + h @ w_hh.T).chunk(4, dim=-1)
                f = f.sigmoid()
                i = torch.minimum(i.sigmoid(), 1 - f)
                c = f * c + i * g.tanh()
                h = o.sigmoid() * c.tanh()
                outputs.append(h)
            x = torch.stack(outputs)
            last_h.append(h)
            last_c.append(c)
        return x, (torch.stack(last_h), torch.stack(last_c))


class CharLSTM(nn.Module):
    """Reads ids (T, B). Gives logits (T, B, V) of the character after each, and the state (h, c), each (L, B, H)."""

    def __init__(self, weights):
        """Sizes are those of ``weights``, a state dict. Its "vocabulary" (V,) has code points, or bytes as uint8."""
        super().__init__()
        characters, hidden = weights["head.weight"].shape
        inputs = weights["capped_lstm.weight_ih_l0"].shape[1]
        layers = sum(name.startswith("capped_lstm.weight_hh") for name in weights)
        self.register_buffer("vocabulary", weights["vocabulary"])
        self.embedding = nn.Embedding(characters, inputs) if "embedding.weight" in weights else None
        self.capped_lstm = CappedLSTM(inputs, hidden, layers)
        self.head = nn.Linear(hidden, characters)
        self.load_state_dict(weights)

    def forward(self, ids, state=None):
        """Without a state the text begins: h and c are zero."""
        x = self.embedding(ids) if self.embedding else one_hot(ids, len(self.vocabulary)).float()
        h, state = self.capped_lstm(x, state)
        return self.head(h), state

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
        return CharLSTM(torch.load(path, weights_only=True))
    from safetensors import safe_open
    from safetensors.torch import load_file

    weights = load_file(path)
    with safe_open(path, "pt") as file:
        symbols = json.loads(file.metadata()["charrnn"])["vocabulary"]
    is_bytes = isinstance(symbols[0], int)
    weights["vocabulary"] = torch.tensor(symbols, dtype=torch.uint8) if is_bytes else torch.tensor([*map(ord, symbols)])
    return CharLSTM(weights)


if __name__ == "__main__":
    path, prime, length, temperature = sys.argv[1:]
    print(prime + load(path).sample(prime, int(length), float(temperature)))
