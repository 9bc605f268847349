"""A model as the files of a folder for the Hugging Face Hub: weights, settings, vocabulary, a module, and a card.

``model.safetensors`` is a checkpoint of charrnn, too: its tensors have PyTorch's names, and its metadata the rest.
"""

import json
from collections.abc import Iterator
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.foreign.to_pytorch import class_name, module_source
from charrnn.checkpoints.run_names import SHARED
from charrnn.network.cells import cell_of, parameter_count
from charrnn.records import bits
from charrnn.text.vocabulary import Vocabulary
from charrnn.version import __version__

CONFIG, SYMBOLS, CARD = "config.json", "vocabulary.json", "README.md"
_LONGEST_NAME = 200  # characters

_CARD = """---
# license: say here what others may do with the model, for example mit
library_name: charrnn
pipeline_tag: text-generation
tags:
- char-rnn
- character-level
- {kind}
{results}---

# {title}

A character-level language model: it reads a text {unit} by {unit} and gives the probabilities of the next one. It was
trained with charrnn {version}.

| | |
|---|---|
{rows}

## Use it

With charrnn:

```
charrnn sample model.safetensors
```

With PyTorch and safetensors, without charrnn (`char_{kind}.py` is a short module):

```python
from char_{kind} import load

model = load("model.safetensors")
print(model.sample({prime}, length=300, temperature=0.8))
```

`config.json` has the sizes, `vocabulary.json` the {unit}s in the order of their ids. The library transformers has no
class for this model.

## Limits

The model imitates the text that it was trained on, and may repeat passages of it word for word. What it writes is made
up.
"""
_RESULTS = """model-index:
- name: {name}
  results:
  - task:
      type: text-generation
    dataset:
      name: {text}
      type: text
      split: validation
    metrics:
    - type: loss
      name: nats per {unit}
      value: {nats:.4f}
    - type: bits_per_{unit}
      name: bits per {unit}
      value: {bits:.4f}
"""


def folder_files(checkpoint: Checkpoint, name: str) -> dict[str, bytes]:
    """The content of every file by its name; ``name`` is what the card calls the model.

    Raises:
        CharRNNError: PyTorch cannot compute the kind of cell, or the weights are not finite.
    """
    model = cell_of(checkpoint.model).completed(checkpoint.model)
    heads = {} if model.heads is None else {"num_attention_heads": model.heads, "context": model.context}
    config = {
        "architectures": [class_name(model.cell)],
        "model_type": f"char_{_kind(checkpoint)}",
        "cell": model.cell,
        "vocab_size": model.vocabulary,
        "embedding_size": model.embedding,
        "hidden_size": model.hidden,
        "num_hidden_layers": model.layers,
        **heads,
        "symbols": "bytes" if checkpoint.vocabulary.is_bytes else "characters",
        "dtype": "float32",
        "charrnn_version": __version__,
    }
    return {
        f"char_{_kind(checkpoint)}.py": module_source(model.cell),
        CONFIG: _json(config),
        SYMBOLS: _json(checkpoint.vocabulary.to_list()),
        CARD: _card(checkpoint, name).encode(),
        SHARED: checkpoint.shared().to_bytes(format="pt"),
    }


def _kind(checkpoint: Checkpoint) -> str:
    """The kind of network in names: lstm, also with other gates, gru, rnn or transformer."""
    return class_name(checkpoint.model.cell).removeprefix("Char").lower()


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _card(checkpoint: Checkpoint, name: str) -> str:
    unit = "byte" if checkpoint.vocabulary.is_bytes else "character"
    nats, text = validation_loss(checkpoint), _text_names(checkpoint)
    results = ""
    if nats is not None:
        quoted = {"name": json.dumps(_plain(name)), "text": json.dumps(text or "unknown")}  # JSON is YAML, too
        results = _RESULTS.format(**quoted, unit=unit, nats=nats, bits=bits(nats))
    rows = "\n".join(f"| {title} | {value} |" for title, value in _rows(checkpoint, unit, nats, text))
    prime = repr(_prime(checkpoint.vocabulary))
    kind, title = _kind(checkpoint), _plain(name)
    return _CARD.format(kind=kind, results=results, title=title, unit=unit, version=__version__, rows=rows, prime=prime)


def _prime(vocabulary: Vocabulary) -> str:
    """A beginning that the model can read, for the example."""
    symbols = vocabulary.to_list()
    return "The " if vocabulary.is_bytes or set("The ") <= set(symbols) else symbols[0]


def _rows(checkpoint: Checkpoint, unit: str, nats: float | None, text: str) -> Iterator[tuple[str, str]]:
    """What the table of the card says."""
    model, counters, corpus = checkpoint.model, checkpoint.counters, checkpoint.corpus
    embedding = f", embedding of {model.embedding:,}" if model.embedding else ""
    layers = "layer" if model.layers == 1 else "layers"
    yield "network", f"{cell_of(model).title}, {model.layers} {layers} of {model.hidden:,} units{embedding}"
    yield "parameters", f"{parameter_count(model):,}"
    yield "vocabulary", f"{model.vocabulary:,} {unit}s"
    if text:
        yield "text", f"{text} ({corpus['characters']:,} {unit}s)"
    if counters:
        yield "training", f"{counters['step']:,} steps, {counters['characters']:,} {unit}s"
    if nats is not None:
        yield "loss on held-out text", f"{nats:.4f} nats per {unit} ({bits(nats):.4f} bits)"
        split = checkpoint.training.split if checkpoint.training else ""
        parts = f", split {split} into training, validation and test" if split else ""
        yield "held-out text", f"the validation part of the text{parts}"


def validation_loss(checkpoint: Checkpoint) -> float | None:
    """The loss of exactly these weights on the validation part, in nats per symbol; None if nobody measured it.

    A best checkpoint has the weights that were scored last. A last checkpoint may have been trained further since.
    """
    counters, is_last = checkpoint.counters, checkpoint.state is not None
    if is_last or not counters or counters["best_step"] != counters["step"]:
        return None
    return counters["best_val_loss"]


def _text_names(checkpoint: Checkpoint) -> str:
    """The names of the text's files, without folders; "" if they are unknown."""
    return _plain(", ".join(checkpoint.shared().corpus.get("sources", ())))


def _plain(text: str) -> str:
    """Text for one line of Markdown: a stranger's checkpoint could name its text so that the card says other things."""
    kept = (each if each.isprintable() and each not in "`[]<>|" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return "".join(kept)[:_LONGEST_NAME].strip()
