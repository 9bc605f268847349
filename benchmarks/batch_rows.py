"""How much the loss of a text changes when it is read in 32 batch rows instead of one, by the length of their warm-up.

python benchmarks/batch_rows.py CHECKPOINT TEXT
"""

import sys

import charrnn
from charrnn.inference.loss import evaluate
from charrnn.text.corpus import open_corpus


def main():
    model = charrnn.load(sys.argv[1])
    ids = open_corpus([sys.argv[2]], vocabulary=model.vocabulary).ids
    exact = evaluate(model.network, ids, batch=1).loss
    print(f"one pass: {exact:.9f}")
    for characters in (0, 64, 256):
        type(model.network).warm_up = max(characters, 1)
        loss = evaluate(model.network, ids, batch=32).loss
        print(f"32 batch rows, {characters} characters of warm-up: {loss:.9f} ({loss - exact:+.1e})")


if __name__ == "__main__":
    main()
