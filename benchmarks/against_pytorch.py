"""charrnn against PyTorch at the same model: training, sampling and evaluation, side by side.

    pip install '.[benchmark]' && python benchmarks/against_pytorch.py
    python benchmarks/against_pytorch.py --threads 1 --shapes 2x128x50x50,1x100x7x33

Both sides have the same architecture, parameters, data, optimiser (Adam, clipping by global norm) and precision
(float32); first it is checked that they compute the same losses.  Each side is a process of its own, the two take
turns (A B A B …) so that the machine's drift hits both, and what is reported is the median of the paired ratios and
their range.  PyTorch runs at its best: the faster of one-hot input and an embedding of one-hot rows.
"""

import argparse
import multiprocessing
import statistics
import sys
import time

import numpy as np

VOCABULARY, LR, CLIP = 65, 2e-3, 1.0
SHAPES = "2x128x50x50,2x256x64x100,2x512x64x100,3x512x100x100,1x100x7x33,2x300x48x64,4x64x16x200,1x1024x32x50"
SAMPLING = "2x128x1,3x512x1,2x128x64,3x512x64"


def initial(layers, hidden):
    """The same starting parameters for both sides, and a window of ids."""
    from charrnn.config import ModelConfig
    from charrnn.parameters import Parameters, initialise

    config = ModelConfig(VOCABULARY, hidden, layers)
    parameters = Parameters(config)
    initialise(parameters, config, 1)
    return config, parameters


def window(lanes, steps):
    return np.random.default_rng(2).integers(VOCABULARY, size=(steps + 1, lanes)).astype(np.int32)


class Charrnn:
    name = "charrnn"

    def __init__(self, layers, hidden, lanes, steps, threads):
        from charrnn.config import TrainConfig
        from charrnn.network import CharLSTM
        from charrnn.optimizer import Optimizer

        config, parameters = initial(layers, hidden)
        self.network = CharLSTM(config, seed=None, threads=threads)
        self.network.parameters.flat[:] = parameters.flat
        training = TrainConfig(optimizer="adam", clip=CLIP, beta2=0.999)
        self.optimizer = Optimizer(training, self.network.parameters, self.network.team)
        self.ids = window(lanes, steps)
        self.state = self.network.initial_state(lanes)

    def train(self):
        loss = self.network.loss_and_gradient(self.ids[:-1], self.ids[1:], self.state)
        self.optimizer.update(self.network.gradient, LR)
        self.network.parameters_changed()
        return loss

    def evaluate(self):
        return float(self.network.losses(self.ids[:-1], self.ids[1:], self.state).mean())

    def sample(self, characters):
        from charrnn.sampling import Sampler

        if not hasattr(self, "sampler"):
            self.sampler = Sampler(self.network, [0], self.ids.shape[1], seed=1)
        self.sampler.draw(characters)


class PyTorch:
    one_hot = True

    def __init__(self, layers, hidden, lanes, steps, threads):
        import torch

        from charrnn.checkpoint import to_torch

        torch.set_num_threads(threads)
        self.torch = torch
        _, parameters = initial(layers, hidden)
        self.lstm = torch.nn.LSTM(VOCABULARY, hidden, layers)
        self.head = torch.nn.Linear(hidden, VOCABULARY)
        self.rows = torch.eye(VOCABULARY)
        modules = torch.nn.ModuleDict({"lstm": self.lstm, "head": self.head})
        tensors = {}
        for name, value in parameters.items():
            tensors |= {key: torch.tensor(np.ascontiguousarray(v)) for key, v in to_torch(name, value).items()}
        modules.load_state_dict(tensors)
        # charrnn has one bias where PyTorch has the sum of two.
        for name, value in self.lstm.named_parameters():
            value.requires_grad = "bias_hh" not in name
        self.trained = [value for value in modules.parameters() if value.requires_grad]
        self.optimizer = torch.optim.Adam(self.trained, LR)
        self.ids = torch.tensor(window(lanes, steps)).long()
        self.state = None

    def inputs(self, x):
        if self.one_hot:
            return self.torch.nn.functional.one_hot(x, VOCABULARY).float()
        return self.torch.nn.functional.embedding(x, self.rows)

    def loss(self):
        h, state = self.lstm(self.inputs(self.ids[:-1]), self.state)
        self.state = tuple(part.detach() for part in state)
        return self.torch.nn.functional.cross_entropy(self.head(h).flatten(0, 1), self.ids[1:].flatten())

    def train(self):
        self.optimizer.zero_grad()
        loss = self.loss()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.trained, CLIP)
        self.optimizer.step()
        return loss.item()

    def evaluate(self):
        with self.torch.no_grad():
            return self.loss().item()

    def sample(self, characters):
        torch = self.torch
        x, state = self.ids[:1], self.state
        with torch.no_grad():
            for _ in range(characters):
                h, state = self.lstm(self.inputs(x), state)
                x = torch.multinomial(torch.softmax(self.head(h[0]), 1), 1).T


class PyTorchRows(PyTorch):
    one_hot = False


def serve(side, shape, threads, pipe):
    """A process: does what it is told and answers with the seconds it took."""
    subject = side(*shape, threads)
    while (order := pipe.recv()) is not None:
        work, repeats, *arguments = order
        values = []
        start = time.perf_counter()
        for _ in range(repeats):
            values.append(getattr(subject, work)(*arguments))
        pipe.send((time.perf_counter() - start, values))


class Side:
    def __init__(self, kind, shape, threads):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(kind, shape, threads, other), daemon=True)
        self.process.start()

    def do(self, *order):
        self.pipe.send(order)
        return self.pipe.recv()

    def close(self):
        self.pipe.send(None)
        self.process.join()


def compare(shape, threads, rounds, seconds, orders):
    """Medians for each order (work, *arguments): the two sides' seconds and the ratios' median and range."""
    sides = [Side(kind, shape, threads) for kind in (Charrnn, PyTorch, PyTorchRows)]
    losses = [side.do("train", 3)[1] for side in sides]
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], rtol=2e-5)
    results = []
    for work, *arguments in orders:
        repeats = []
        for side in sides:
            side.do(work, 1, *arguments)
            once = side.do(work, 1, *arguments)[0]
            repeats.append(max(1, round(seconds / max(once, 1e-6))))
        times = [[] for _ in sides]
        for _ in range(rounds):
            for k, side in enumerate(sides):
                times[k].append(side.do(work, repeats[k], *arguments)[0] / repeats[k])
        best = min((1, 2), key=lambda k: statistics.median(times[k]))
        ratios = sorted(b / a for a, b in zip(times[0], times[best], strict=True))
        results.append((statistics.median(times[0]), statistics.median(times[best]), ratios))
    for side in sides:
        side.close()
    return results


def say(line, output):
    for stream in filter(None, (sys.stdout, output)):
        print(line, file=stream, flush=True)


def row(label, characters, result, threads, operations=0, peak=0):
    ours, theirs, ratios = result
    share = " | "
    if operations:
        rate = characters / ours * operations / 1e9
        share = f"{rate:.0f} | {rate / peak:.0%}"
    return (
        f"| {label} | {threads} | {characters / ours:,.0f} | {characters / theirs:,.0f} | "
        f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f}–{ratios[-1]:.2f}) | {share} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="2,1", help="numbers of threads")
    parser.add_argument("--shapes", default=SHAPES, help="layers x hidden x lanes x steps, with commas")
    parser.add_argument("--sampling", default=SAMPLING, help="layers x hidden x streams, with commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one turn")
    parser.add_argument("--output", type=argparse.FileType("w"), help="write the tables to this file too")
    options = parser.parse_args()
    from charrnn.config import ModelConfig
    from charrnn.timing import fma_peak, training_flops

    for threads in map(int, options.threads.split(",")):
        peak = fma_peak(threads) / 1e9
        head = ("model, lanes x steps", "threads", "charrnn chars/s", "PyTorch chars/s", "ratio", "GFLOP/s", "of peak")
        say(f"\nFMA peak with {threads} thread(s): {peak:.0f} GFLOP/s\n", options.output)
        say(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", options.output)
        for shape in options.shapes.split(",") if options.shapes else ():
            layers, hidden, lanes, steps = map(int, shape.split("x"))
            training, evaluation = compare(
                (layers, hidden, lanes, steps), threads, options.rounds, options.seconds, [("train",), ("evaluate",)]
            )
            label, characters = f"{layers}x{hidden}, {lanes}x{steps}", lanes * steps
            operations = training_flops(ModelConfig(VOCABULARY, hidden, layers))
            say(row(f"train {label}", characters, training, threads, operations, peak), options.output)
            say(row(f"evaluate {label}", characters, evaluation, threads, operations / 3, peak), options.output)
        for shape in options.sampling.split(",") if options.sampling else ():
            layers, hidden, streams = map(int, shape.split("x"))
            sizes = (layers, hidden, streams, 2)
            (result,) = compare(sizes, threads, options.rounds, options.seconds, [("sample", 100)])
            say(row(f"sample {layers}x{hidden}, {streams} at once", 100 * streams, result, threads), options.output)


if __name__ == "__main__":
    main()
