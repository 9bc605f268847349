"""Compiled kernels: kept once, damage noticed, an unwritable folder done without, the same bits for every width."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processors import cache_of, grouped, narrower_processors

from charrnn.network.cells import CELLS

SUPPORT = Path(__file__).parents[1] / "support"
SCRIPT = """
import contextlib, hashlib, sys
import numpy as np
from charrnn.config import ModelConfig, TrainConfig
from charrnn.kernels import compiler
compiled = []
@contextlib.contextmanager
def announce(count):
    done = []
    yield lambda: done.append(1)
    assert len(done) == count, (len(done), count)
    compiled.append(count)
compiler.announce = announce
from charrnn.network.network import Network
from charrnn.network.regularisation import Regularisation
from charrnn.training.optimizer import Optimizer
from teams import every_thread_works
digest, threads = hashlib.sha256(), int(sys.argv[1])
for cell in sys.argv[3:]:
    embedding = 5 if cell in ("gru", "lstm") else None
    network = Network(ModelConfig(30, 72, 2, embedding, cell), seed=1, threads=threads)
    optimizer = Optimizer(TrainConfig(), network.parameters, network.team)
    generator = np.random.default_rng(2)
    state = network.initial_state(9)
    for step in range(int(sys.argv[2])):
        x, y = generator.integers(30, size=(2, 7, 9)).astype(np.int32)
        network.sum_groups = 5 if step % 2 else None
        with every_thread_works(threads) as watch:
            network.loss_and_gradient(x, y, state, Regularisation(0.2, 3, step))
            optimizer.update(network.gradient, 0.01)
        assert watch.workers("network") == watch.workers("optimizer") == {threads}
        network.parameters_changed()
    digest.update(b"".join([network.parameters.flat.tobytes(), *(array.tobytes() for array in state.arrays.values())]))
print(bool(compiled), digest.hexdigest())
"""


def train(cache, threads=1, steps=2, cells=("lstm",), **environment):
    """(whether something was compiled, a digest of the trained parameters of all the cells) of a new process."""
    support = os.pathsep.join(filter(None, [str(SUPPORT), os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "CHARRNN_CACHE": str(cache), "PYTHONPATH": support, **environment}
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(threads), str(steps), *cells],
        capture_output=True,
        text=True,
        env=variables,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    compiled, digest = process.stdout.split()
    return compiled == "True", digest


def test_kernels_are_compiled_once_and_damage_is_noticed(tmp_path):
    compiled, digest = train(tmp_path)
    assert compiled
    assert train(tmp_path) == (False, digest)
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert len(files) > 8
    damages = [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
    ]
    for number, path in enumerate(files):
        path.write_bytes(damages[number % len(damages)](path.read_bytes()))
    assert train(tmp_path) == (True, digest)
    assert train(tmp_path) == (False, digest)


def test_a_kernel_from_the_cache_needs_nothing_of_what_compiles():
    """Seventy modules of Numba, a quarter of a start; a kernel that takes memory for itself is among these."""
    script = """if True:
        import sys
        import numpy as np
        from charrnn.config import ModelConfig
        from charrnn.network.network import Network
        from charrnn.inference.sampler import Sampler
        text = Sampler(Network(ModelConfig(9, 5, 1), threads=1), np.zeros(1, np.int32)).draw(3)
        print(text.shape, "numba.np.arraymath" in sys.modules)
    """
    for _ in range(2):
        process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout == "(3, 1) False\n"


def test_a_folder_that_cannot_be_written_is_done_without(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert train(blocked)[0]
    assert blocked.read_text() == "not a folder"


def test_a_kernel_that_was_not_prepared_is_refused():
    """Numba would compile it for the types of that call, or convert them at every call: milliseconds each time."""
    from charrnn.kernels.compiler import intp, kernel, prepare, void

    add = kernel(void(intp))(lambda number: None)
    with pytest.raises(RuntimeError, match="was not prepared"):
        add(True)
    prepare(add)
    add(1)


@pytest.fixture(scope="module")
def thirty_steps():
    """The digest of thirty steps of every cell, on one thread of this processor."""
    return train(os.environ["CHARRNN_CACHE"], 1, 30, CELLS)[1]


@pytest.mark.parametrize("threads", [2, 3])
def test_thirty_steps_are_the_same_bits_for_any_number_of_threads(thirty_steps, threads):
    assert train(os.environ["CHARRNN_CACHE"], threads, 30, CELLS)[1] == thirty_steps


@pytest.mark.parametrize("processor", grouped(narrower_processors()), ids=lambda case: case[0])
def test_thirty_steps_are_the_same_bits_for_narrower_vectors(thirty_steps, tmp_path_factory, processor):
    name, variables = processor
    assert train(cache_of(tmp_path_factory, name), 1, 30, CELLS, **variables)[1] == thirty_steps
