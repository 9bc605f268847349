"""How the first weights change the first minutes: validation loss for several bounds of the initial values.

    python benchmarks/initialisation.py TEXT --steps 300

Every row is one run of the default configuration with other starting values: the bound of the rows that characters
pick, that of the output layer, and whether the recurrent matrices are orthogonal.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from charrnn.checkpoints.run_folder import RunFolder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.network.network import Network
from charrnn.text.corpus import Parts, open_corpus
from charrnn.training import Run, Trainer

CASES = [
    # rows, output (None: 1/sqrt(H), as PyTorch has it for all), orthogonal
    (None, None, False),
    (0.5, None, False),
    (1.0, None, False),
    (1.7, None, False),
    (3.0, None, False),
    (1.7, None, True),
    (1.7, 0.2, False),
    (1.7, 0.2, True),
    (1.7, 0.5, False),
]


def start(network, rows, output, orthogonal):
    """Other starting values for a network."""
    generator = np.random.default_rng(7)
    hidden = network.config.hidden
    plain = 1 / np.sqrt(hidden)
    for name, bound in (("w_ih_l0", rows or plain), ("w_out", output or plain)):
        view = network.parameters[name]
        view[:] = generator.uniform(-bound, bound, view.shape)
    if orthogonal:
        for layer in range(network.config.layers):
            for gate in range(4):
                block = np.linalg.qr(generator.normal(size=(hidden, hidden)))[0]
                network.parameters[f"w_hh_l{layer}"][:, gate * hidden : (gate + 1) * hidden] = block
    network.parameters_changed()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--hidden", type=int, default=256)
    options = parser.parse_args()
    corpus = open_corpus([options.text])
    every = max(1, options.steps // 3)
    config = TrainConfig(
        steps=options.steps, eval_every=every, sample_every=0, ngrams="off", ngram_targets=0.0, tar=0.0
    )
    print("| rows | output | orthogonal | validation loss on the way |")
    print("|---|---|---|---|")
    for rows, output, orthogonal in CASES:
        network = Network(ModelConfig(len(corpus.vocabulary), options.hidden), seed=config.seed)
        start(network, rows, output, orthogonal)
        with tempfile.TemporaryDirectory() as folder:
            parts = Parts.of(corpus.ids, config.split)
            trainer = Trainer(Run(network, config, parts, corpus.vocabulary, {}), RunFolder(Path(folder)))
            losses = [record.val_loss for record in trainer.run() if record.event == "evaluated"]
        shown = "  ".join(f"{loss:.3f}" for loss in losses)
        print(f"| {rows or '1/sqrt(H)'} | {output or '1/sqrt(H)'} | {orthogonal} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
