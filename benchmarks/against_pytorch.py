"""charrnn against PyTorch at the same model: training, evaluation, sampling and memory, side by side.

    pip install '.[benchmark]' && python benchmarks/against_pytorch.py
    python benchmarks/against_pytorch.py --threads 1 --shapes 2x128x50x50,1x100x7x33 --sampling ""
    python benchmarks/against_pytorch.py --cell gru
    python benchmarks/against_pytorch.py --cell transformer --shapes 4x128x12x64 --heads 4

``benchmarks/pytorch_sides.py`` says what is the same on both sides.  The sides take turns (A B A B …), so that the
machine's drift hits both; reported are the median of the paired ratios and their range.  PyTorch runs at its best: the
faster of one-hot input and looked-up rows; for a Transformer the faster of the module as it is and ``torch.compile``.
"""

import argparse
import sys

from pytorch_sides import Case, compare

from charrnn.config import ModelConfig
from charrnn.training.speed import training_flops

VOCABULARY = 65
SHAPES = "2x128x50x50,2x256x64x100,2x512x64x100,3x512x100x100,1x100x7x33,2x300x48x64,4x64x16x200,1x1024x32x50"
SAMPLING = "2x128x1,3x512x1,2x128x64,3x512x64"
# nanoGPT's settings for a CPU and for a GPU, with 4 and 6 heads.
TRANSFORMER = ("4x128x12x64,6x384x16x256", "4x128x1,6x384x1")
CELLS = ("lstm", "gru", "rnn", "transformer")
CHARACTERS = 100  # of one call that samples
CHECKED = 64  # steps of the windows that show, before texts are written, that both sides learn the same
HEAD = ("model, batch rows x steps", "threads", "chars/s", "PyTorch's", "ratio", "GFLOP/s", "of peak", "PyTorch's")


def row(label, threads, characters, outcome, operations=0.0):
    rate = characters / outcome.ours
    shares = [f"{characters / seconds * operations / outcome.peak:.0%}" for seconds in (outcome.ours, outcome.theirs)]
    share = [f"{rate * operations / 1e9:.0f}", *shares] if operations else ["", "", ""]
    ratio = f"**{outcome.ratio:.2f}** ({outcome.ratios[0]:.2f}–{outcome.ratios[-1]:.2f})"
    theirs = f"{characters / outcome.theirs:,.0f}{outcome.kind and f' ({outcome.kind})'}"
    return f"| {' | '.join([label, str(threads), f'{rate:,.0f}', theirs, ratio, *share])} |"


def model(cell, layers, hidden, heads, context):
    """The model; without ``heads``, those of a Transformer have 32 columns, or 64 in a wide one: 128 / 4, 384 / 6."""
    if cell != "transformer":
        return ModelConfig(VOCABULARY, hidden, layers, cell=cell)
    heads = heads or max(1, hidden // (32 if hidden < 256 else 64))
    return ModelConfig(VOCABULARY, hidden, layers, cell=cell, heads=heads, context=context)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="2,1", help="numbers of threads")
    parser.add_argument("--cell", choices=CELLS, default=CELLS[0])
    parser.add_argument("--shapes", help="layers x hidden x batch rows x steps, with commas")
    parser.add_argument("--sampling", help="layers x hidden x streams, with commas")
    parser.add_argument("--heads", type=int, help="of a Transformer  [default: of 32 columns, of 64 from width 256]")
    parser.add_argument(
        "--context", type=int, default=256, help="of a Transformer that samples; in training: the steps"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    parser.add_argument("--output", type=argparse.FileType("w"), help="write the tables to this file too")
    options = parser.parse_args()
    defaults = TRANSFORMER if options.cell == "transformer" else (SHAPES, SAMPLING)
    given = (options.shapes, options.sampling)
    shapes, sampling = (
        list(filter(None, (default if own is None else own).split(",")))
        for own, default in zip(given, defaults, strict=True)
    )

    def say(line):
        for stream in filter(None, (sys.stdout, options.output)):
            print(line, file=stream, flush=True)

    def contest(config, batch, steps, threads, orders):
        return compare(Case(config, batch, steps, threads), orders, options.rounds, options.seconds)

    for threads in map(int, options.threads.split(",")):
        say("")
        say(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
        memory = []
        for shape in shapes:
            layers, hidden, batch, steps = map(int, shape.split("x"))
            config = model(options.cell, layers, hidden, options.heads, steps)
            (training, evaluation), resident = contest(config, batch, steps, threads, [("train",), ("evaluate",)])
            label, operations = f"{layers}x{hidden}, {batch}x{steps}", training_flops(config)
            say(row(f"train {label}", threads, batch * steps, training, operations))
            say(row(f"evaluate {label}", threads, batch * steps, evaluation, operations / 3))
            memory.append(f"| {label} | {resident[0] / 1e6:,.0f} | {resident[1] / 1e6:,.0f} |")
        for shape in sampling:
            layers, hidden, streams = map(int, shape.split("x"))
            config = model(options.cell, layers, hidden, options.heads, options.context)
            (outcome,), _ = contest(config, streams, CHECKED, threads, [("sample", CHARACTERS)])
            say(row(f"sample {layers}x{hidden}, {streams} at once", threads, CHARACTERS * streams, outcome))
        if memory:
            say("\n| peak resident MB, training and evaluation | charrnn | PyTorch |\n|---|---|---|")
            say("\n".join(memory))


if __name__ == "__main__":
    main()
