"""Make tests/goldens/*.safetensors with PyTorch, in float64.

    pip install torch && python tests/support/make_goldens.py [CASE …]

Each file holds a small model's weights under PyTorch's own names (``weight.…``), ids x, y (T, B), the incoming
state, and what PyTorch makes of them: every gradient by name (``gradient.…``), logits, the final state, and the losses
of ten training steps on the same window with Adam or AdamW and clipping by global norm, the state carried.

transformers/ has the same of Transformers, by the module in docs/, with windows that begin with an empty state.

updates/optimizers.safetensors has weights (N,) and biases (M,), twenty gradients of each, and what they become by every
optimiser under settings that stand, by case, as JSON in the file's metadata.

files/ has a checkpoint as torch.save writes it today (archive.pt) and wrote it before 1.6 (old.pt), and the
log-probabilities (N, V) that its model has after each of the ids (N,).
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save

FOLDER = Path(__file__).parents[1] / "goldens" / "pytorch"

CASES = {
    "one-hot": {"vocabulary": 11, "hidden": 20, "layers": 2, "embedding": None, "steps": 7, "batch": 3, "decay": 0.0},
    "embedding": {"vocabulary": 9, "hidden": 33, "layers": 3, "embedding": 5, "steps": 6, "batch": 2, "decay": 0.1},
    "one-layer": {
        "vocabulary": 17,
        "hidden": 16,
        "layers": 1,
        "embedding": None,
        "steps": 12,
        "batch": 4,
        "decay": 0.0,
    },
    **{
        "gru": {"vocabulary": 11, "hidden": 18, "layers": 2, "embedding": None, "steps": 7, "batch": 3, "decay": 0.0},
        "gru-embedding": {
            "vocabulary": 6,
            "hidden": 17,
            "layers": 2,
            "embedding": 5,
            "steps": 6,
            "batch": 2,
            "decay": 0.1,
        },
        "rnn": {"vocabulary": 11, "hidden": 18, "layers": 2, "embedding": None, "steps": 7, "batch": 3, "decay": 0.0},
        "rnn-embedding": {
            "vocabulary": 6,
            "hidden": 17,
            "layers": 2,
            "embedding": 5,
            "steps": 6,
            "batch": 2,
            "decay": 0.1,
        },
    },
}
CELLS = {"gru": torch.nn.GRU, "rnn": torch.nn.RNN}  # by the first word of a case; else it is an LSTM
LR, CLIP, BETAS, TRAINING_STEPS = 1e-2, 0.25, (0.9, 0.99), 10


class Model(torch.nn.Module):
    def __init__(self, vocabulary, hidden, layers, embedding, cell="lstm"):
        super().__init__()
        self.vocabulary, self.cell = vocabulary, cell
        self.embedding = torch.nn.Embedding(vocabulary, embedding) if embedding else None
        setattr(self, cell, CELLS.get(cell, torch.nn.LSTM)(embedding or vocabulary, hidden, layers))
        self.head = torch.nn.Linear(hidden, vocabulary)

    def forward(self, x, state):
        inputs = self.embedding(x) if self.embedding else torch.nn.functional.one_hot(x, self.vocabulary).double()
        is_lstm = self.cell == "lstm"
        h, state = getattr(self, self.cell)(inputs, state if is_lstm or state is None else state[0])
        return self.head(h), state if is_lstm else (state,)


def loss_of(model, x, y, state):
    logits, state = model(x, state)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
    return loss, logits, tuple(part.detach() for part in state)


def main(*names):
    for name in names or CASES:
        torch.manual_seed(20)
        case = dict(CASES[name])
        cell = name.partition("-")[0]
        case["cell"] = cell if cell in CELLS else "lstm"
        states = "h" if cell in CELLS else "hc"
        steps, batch, decay = case.pop("steps"), case.pop("batch"), case.pop("decay")
        model = Model(**case).double()
        for parameter in model.parameters():
            # What a float32 program can start from exactly.
            parameter.data = parameter.data.float().double()
        x, y = torch.randint(case["vocabulary"], (2, steps, batch))
        state = tuple((torch.randn(case["layers"], batch, case["hidden"]) / 2).double() for _ in states)
        tensors = {"x": x, "y": y} | {f"{each}0": part for each, part in zip(states, state, strict=True)}
        tensors |= {f"weight.{key}": value.clone() for key, value in model.state_dict().items()}

        loss, logits, final = loss_of(model, x, y, state)
        loss.backward()
        tensors |= {"loss": loss.detach(), "logits": logits.detach()} | dict(zip(states, final, strict=True))
        tensors |= {f"gradient.{key}": value.grad.clone() for key, value in model.named_parameters()}

        biases = [value for key, value in model.named_parameters() if "bias" in key]
        others = [value for key, value in model.named_parameters() if "bias" not in key]
        optimizer = torch.optim.AdamW(
            [{"params": others}, {"params": biases, "weight_decay": 0}], lr=LR, betas=BETAS, weight_decay=decay
        )
        losses = []
        for _ in range(TRAINING_STEPS):
            optimizer.zero_grad()
            loss, _, state = loss_of(model, x, y, state)
            loss.backward()
            # charrnn has one bias where PyTorch has the sum of two: PyTorch trains the first and leaves the second. A
            # GRU's candidate, the last third, has two in charrnn, too.
            for key, value in model.named_parameters():
                if "bias_hh" in key:
                    value.grad[: len(value) // 3 * 2 if cell == "gru" else len(value)] = 0
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            losses.append(loss.item())
        arrays = {key: np.ascontiguousarray(value.numpy()) for key, value in tensors.items()}
        arrays["losses"] = np.array(losses)
        arrays["settings"] = np.array([LR, CLIP, *BETAS, decay])
        (FOLDER / f"{name}.safetensors").write_bytes(save(arrays))


# The name, and V, H, layers, heads, context; then T, B and the weight decay.
TRANSFORMERS = {
    "short-context": ((11, 18, 2, 3, 5), 9, 3, 0.1),
    "long-context": ((9, 12, 2, 2, 32), 12, 2, 0.0),
    "odd-heads": ((13, 15, 1, 3, 7), 20, 2, 0.0),
}


def transformer_module():
    """The module that exports of Transformers bring."""
    path = Path(__file__).parents[2] / "charrnn" / "checkpoints" / "foreign" / "pytorch_transformer.py"
    spec = importlib.util.spec_from_file_location("pytorch_transformer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_transformers():
    folder, module = FOLDER / "transformers", transformer_module()
    folder.mkdir(exist_ok=True)
    for name, (sizes, steps, batch, decay) in TRANSFORMERS.items():
        torch.manual_seed(20)
        model = module.Transformer(*sizes).double()
        for key, parameter in model.named_parameters():
            if ".g_" in key:
                parameter.data += torch.randn(parameter.shape) / 5
            parameter.data = parameter.data.float().double()
        x, y = torch.randint(sizes[0], (2, steps, batch))

        def loss_and_logits(x=x, y=y, model=model):
            logits, _ = model(x)
            return torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten()), logits

        tensors = {"x": x, "y": y, "sizes": torch.tensor(sizes)}
        tensors |= {f"weight.{key}": value.clone() for key, value in model.state_dict().items()}
        loss, logits = loss_and_logits()
        loss.backward()
        tensors |= {"loss": loss.detach(), "logits": logits.detach()}
        tensors |= {f"gradient.{key}": value.grad.clone() for key, value in model.named_parameters()}
        undecayed = [value for key, value in model.named_parameters() if "bias" in key or ".g_" in key]
        others = [value for key, value in model.named_parameters() if not ("bias" in key or ".g_" in key)]
        groups = [{"params": others}, {"params": undecayed, "weight_decay": 0}]
        optimizer, losses = torch.optim.AdamW(groups, lr=LR, betas=BETAS, weight_decay=decay), []
        for _ in range(TRAINING_STEPS):
            optimizer.zero_grad()
            loss, _ = loss_and_logits()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            losses.append(loss.item())
        arrays = {key: np.ascontiguousarray(value.numpy()) for key, value in tensors.items()}
        arrays |= {"losses": np.array(losses), "settings": np.array([LR, CLIP, *BETAS, decay])}
        (folder / f"{name}.safetensors").write_bytes(save(arrays))


UPDATES = 20
# As charrnn.config.TrainConfig has them: L2 and L1 are for weights alone.
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "beta1": 0.0},
    "momentum": {"optimizer": "sgd", "beta1": 0.9},
    "nesterov": {"optimizer": "sgd", "beta1": 0.9, "nesterov": True},
    "adagrad": {"optimizer": "adagrad"},
    "rmsprop": {"optimizer": "rmsprop", "beta2": 0.95},
    "adam": {"optimizer": "adam"},
    "adamw": {"optimizer": "adamw"},
}
REGIMES = {
    "plain": {"clip": 0.0, "weight_decay": 0.0},
    "decay": {"clip": 0.0, "weight_decay": 0.1},
    "norm": {"clip": 5.0, "weight_decay": 0.0},
    "value": {"clip": 0.0, "clip_value": 0.7, "weight_decay": 0.0},
    "all": {"clip": 5.0, "clip_value": 0.7, "weight_decay": 0.1, "l1": 0.01},
}


def torch_optimizer(groups, optimizer, lr, beta1=0.9, beta2=0.99, nesterov=False):
    if optimizer == "sgd":
        return torch.optim.SGD(groups, lr, momentum=beta1, nesterov=nesterov)
    if optimizer == "adagrad":
        return torch.optim.Adagrad(groups, lr, eps=1e-8)
    if optimizer == "rmsprop":
        return torch.optim.RMSprop(groups, lr, alpha=beta2)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer](groups, lr, (beta1, beta2))


def updated(weights, biases, gradients, settings):
    """Weights and biases after all gradients."""
    settings = dict(settings)
    clip, clip_value, l1 = settings.pop("clip"), settings.pop("clip_value", 0.0), settings.pop("l1", 0.0)
    weights, biases = (torch.nn.Parameter(values.double()) for values in (weights, biases))
    groups = [
        {"params": [weights], "weight_decay": settings.pop("weight_decay")},
        {"params": [biases], "weight_decay": 0.0},
    ]
    optimizer = torch_optimizer(groups, **settings)
    for weights.grad, biases.grad in zip(*(values.double() for values in gradients), strict=True):
        if clip_value:
            torch.nn.utils.clip_grad_value_([weights, biases], clip_value)
        if clip:
            torch.nn.utils.clip_grad_norm_([weights, biases], clip)
        weights.grad += l1 * weights.detach().sign()
        optimizer.step()
    return weights.detach(), biases.detach()


def make_updates():
    torch.manual_seed(20)
    weights, biases = torch.randn(124), torch.randn(19)
    weights[0] = 0  # whose sign is 0
    gradients = torch.randn(UPDATES, 124), torch.randn(UPDATES, 19)
    tensors = {"weights": weights, "biases": biases, "gradient.weights": gradients[0], "gradient.biases": gradients[1]}
    cases = {}
    for name, optimizer in OPTIMIZERS.items():
        for regime, settings in REGIMES.items():
            case = cases[f"{name}-{regime}"] = {**optimizer, **settings, "lr": LR}
            after = updated(weights, biases, gradients, case)
            tensors |= {f"{name}-{regime}.weights": after[0], f"{name}-{regime}.biases": after[1]}
    folder = FOLDER / "updates"
    folder.mkdir(exist_ok=True)
    arrays = {key: np.ascontiguousarray(value.numpy()) for key, value in tensors.items()}
    (folder / "optimizers.safetensors").write_bytes(save(arrays, {"cases": json.dumps(cases)}))


def make_files():
    torch.manual_seed(21)
    model = Model(5, 6, 2, 3)
    optimizer = torch.optim.Adam(model.parameters())
    ids = torch.randint(5, (40,))
    for _ in range(3):
        loss_of(model, ids[:-1, None], ids[1:, None], None)[0].backward()
        optimizer.step()
    content = {
        "epoch": 3,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "chars": tuple("edcba"),
        "losses": [1.5, 1.25],
    }
    folder = FOLDER / "files"
    folder.mkdir(exist_ok=True)
    for name, is_new in (("archive.pt", True), ("old.pt", False)):
        torch.save(content, folder / name, _use_new_zipfile_serialization=is_new)
    with torch.no_grad():
        x = model.double().embedding(ids)[:, None]
        found = model.head(model.lstm(x)[0])[:, 0].log_softmax(-1)
    (folder / "expected.safetensors").write_bytes(save({"ids": ids.numpy(), "log_probabilities": found.numpy()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
    if not sys.argv[1:]:
        make_transformers()
        make_updates()
        make_files()
