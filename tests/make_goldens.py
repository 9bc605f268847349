"""Make tests/goldens/*.safetensors with PyTorch, in float64.

    pip install torch && python tests/make_goldens.py

Each file holds a small model's weights under PyTorch's own names (``weight.…``), ids x, y (T, B), the incoming
state, and what PyTorch makes of them: every gradient by name (``gradient.…``), logits, the final state, and the losses
of ten training steps on the same window with Adam or AdamW and clipping by global norm, the state carried.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

FOLDER = Path(__file__).parent / "goldens"

CASES = {
    "one-hot": {"vocabulary": 11, "hidden": 20, "layers": 2, "embedding": None, "steps": 7, "lanes": 3, "decay": 0.0},
    "embedding": {"vocabulary": 9, "hidden": 33, "layers": 3, "embedding": 5, "steps": 6, "lanes": 2, "decay": 0.1},
    "one-layer": {
        "vocabulary": 17,
        "hidden": 16,
        "layers": 1,
        "embedding": None,
        "steps": 12,
        "lanes": 4,
        "decay": 0.0,
    },
}
LR, CLIP, BETAS, TRAINING_STEPS = 1e-2, 0.25, (0.9, 0.99), 10


class Model(torch.nn.Module):
    def __init__(self, vocabulary, hidden, layers, embedding):
        super().__init__()
        self.vocabulary = vocabulary
        self.embedding = torch.nn.Embedding(vocabulary, embedding) if embedding else None
        self.lstm = torch.nn.LSTM(embedding or vocabulary, hidden, layers)
        self.head = torch.nn.Linear(hidden, vocabulary)

    def forward(self, x, state):
        inputs = self.embedding(x) if self.embedding else torch.nn.functional.one_hot(x, self.vocabulary).double()
        h, state = self.lstm(inputs, state)
        return self.head(h), state


def loss_of(model, x, y, state):
    logits, state = model(x, state)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    return loss, logits, tuple(part.detach() for part in state)


def main():
    for name, case in CASES.items():
        torch.manual_seed(20)
        case = dict(case)
        steps, lanes, decay = case.pop("steps"), case.pop("lanes"), case.pop("decay")
        model = Model(**case).double()
        for parameter in model.parameters():
            # What a float32 program can start from exactly.
            parameter.data = parameter.data.float().double()
        x, y = torch.randint(case["vocabulary"], (2, steps, lanes))
        state = tuple((torch.randn(case["layers"], lanes, case["hidden"]) / 2).double() for _ in "hc")
        tensors = {"x": x, "y": y, "h0": state[0], "c0": state[1]}
        tensors |= {f"weight.{key}": value.clone() for key, value in model.state_dict().items()}

        loss, logits, final = loss_of(model, x, y, state)
        loss.backward()
        tensors |= {"loss": loss.detach(), "logits": logits.detach(), "h": final[0], "c": final[1]}
        tensors |= {f"gradient.{key}": value.grad.clone() for key, value in model.named_parameters()}

        biases = [value for key, value in model.named_parameters() if "bias" in key]
        others = [value for key, value in model.named_parameters() if "bias" not in key]
        # charrnn has one bias where PyTorch has the sum of two: PyTorch trains the first and leaves the second.
        for key, value in model.named_parameters():
            value.requires_grad = "bias_hh" not in key
        optimizer = torch.optim.AdamW(
            [{"params": others}, {"params": biases, "weight_decay": 0}], lr=LR, betas=BETAS, weight_decay=decay
        )
        losses = []
        for _ in range(TRAINING_STEPS):
            optimizer.zero_grad()
            loss, _, state = loss_of(model, x, y, state)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            losses.append(loss.item())
        arrays = {key: np.ascontiguousarray(value.numpy()) for key, value in tensors.items()}
        arrays["losses"] = np.array(losses)
        arrays["settings"] = np.array([LR, CLIP, *BETAS, decay])
        (FOLDER / f"{name}.safetensors").write_bytes(save(arrays))


if __name__ == "__main__":
    main()
