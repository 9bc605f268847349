"""What reading a text in lanes costs in exactness: its loss in one pass, and in 32 lanes by length of their warm-up.

python benchmarks/lanes.py checkpoints/NAME TEXT
"""

import sys

import charrnn
from charrnn.inference.loss import evaluate
from charrnn.text import windows
from charrnn.text.corpus import open_corpus


def main():
    model = charrnn.load(sys.argv[1])
    ids = open_corpus([sys.argv[2]], vocabulary=model.vocabulary).ids
    exact = evaluate(model.network, ids, lanes=1).loss
    print(f"one pass: {exact:.9f}")
    for characters in (0, 64, 256):
        windows.WARM_UP = characters
        loss = evaluate(model.network, ids, lanes=32).loss
        print(f"32 lanes, {characters} characters of warm-up: {loss:.9f} ({loss - exact:+.1e})")


if __name__ == "__main__":
    main()
