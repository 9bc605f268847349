"""The layer interface is a door: a cell that the package does not know is trained, resumed, sampled, inspected, ablated
and saved, and no line of the package changes for it."""

import json

import numpy as np
import pytest
from command_line import invoke, succeed
from elman import ElmanCell
from teams import every_thread_works
from training_runs import CORPUS, TEXT, VOCABULARY, outcome, run

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import ConfigError
from charrnn.inference.sampler import Choice, Sampler
from charrnn.inference.stream_team import TOGETHER
from charrnn.inspection.ablation import ablate
from charrnn.inspection.clamping import clamp
from charrnn.inspection.gallery import gallery
from charrnn.inspection.hypotheses import hypothesis
from charrnn.inspection.reading import read
from charrnn.inspection.search import find
from charrnn.inspection.similar_places import on_set, similar
from charrnn.model import Model
from charrnn.network.cells import CELLS
from charrnn.network.network import Network
from charrnn.network.regularisation import Regularisation
from charrnn.text.corpus import Parts
from charrnn.training import Run, Trainer

IDS = VOCABULARY.encode(TEXT).astype(VOCABULARY.dtype)
MODEL = ModelConfig(len(VOCABULARY), 20, 2, cell="elman")
CONFIG = TrainConfig(
    seq_len=16, batch_size=4, steps=60, dropout=0.1, ema=0.9, eval_every=13, sample_every=0, save_every=7
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(CELLS, "elman", ElmanCell())


def trainer(path, resume=None, threads=1, diagnose=False):
    cut = len(IDS) * 9 // 10
    parts = Parts(IDS[:cut], IDS[cut:], IDS[:0])
    network = Network(MODEL, seed=3, threads=threads)
    run = Run(network, CONFIG, parts, VOCABULARY, CORPUS, resume)
    return Trainer(run, RunFolder(path), diagnose=diagnose)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CELLS, "elman", ElmanCell())
        path = tmp_path_factory.mktemp("elman") / "fox"
        records = run(trainer(path, diagnose=True))
    return path, records


def exact_loss(parameters, x, y, h):
    """The mean loss in float64."""
    below = np.eye(MODEL.vocabulary)[x]
    for k in range(MODEL.layers):
        rows = below @ parameters[f"w_ih_l{k}"]
        state, outputs = h[k], []
        for row in rows:
            state = np.tanh(row + state @ parameters[f"w_hh_l{k}"] + parameters[f"b_l{k}"])
            outputs.append(state)
        below = np.stack(outputs)
    logits = below @ parameters["w_out"] + parameters["b_out"]
    picked = np.take_along_axis(logits, y[..., None], axis=-1)[..., 0]
    return (np.log(np.exp(logits).sum(axis=-1)) - picked).mean()


def test_its_gradient_is_that_of_finite_differences(rng):
    network = Network(MODEL, seed=1, threads=1)
    x, y = rng.integers(len(VOCABULARY), size=(2, 7, 3)).astype(np.int32)
    state = network.initial_state(3)
    state["h"][:] = rng.uniform(-0.5, 0.5, state["h"].shape)
    before = state["h"].astype(float)
    parameters = {name: view.astype(float) for name, view in network.parameters.items()}
    found = network.loss_and_gradient(x, y, state)
    assert found == pytest.approx(exact_loss(parameters, x, y, before), rel=1e-6)
    for name, view in parameters.items():
        for place in rng.integers(view.size, size=6):
            losses = []
            for change in (1e-5, -1e-5):
                changed = view.copy()
                changed.flat[place] += change
                losses.append(exact_loss(parameters | {name: changed}, x, y, before))
            exact = (losses[0] - losses[1]) / 2e-5
            assert network.gradient[name].flat[place] == pytest.approx(exact, rel=1e-3, abs=1e-6), name


def test_it_learns_and_is_diagnosed(trained):
    _, records = trained
    losses = [record.val_loss for record in records if record.event == "evaluated"]
    assert losses[-1] < losses[0] - 0.3
    diagnosed = [record for record in records if record.event == "diagnosed"]
    assert diagnosed[0].gates[0].keys() == {"h"}
    assert records[0].cell == "Elman network"


def test_a_resumed_run_ends_with_the_same_bits(trained, tmp_path):
    run(trainer(tmp_path, diagnose=True), stop_after=31)
    _, checkpoint = RunFolder(tmp_path).load_last(print)
    run(trainer(tmp_path, resume=checkpoint, diagnose=True))
    assert outcome(tmp_path) == outcome(trained[0])


def test_threads_change_no_bit(rng):
    x, y = rng.integers(len(VOCABULARY), size=(2, 6, 5)).astype(np.int32)
    found = []
    for threads in (1, 2, 3, 7):
        network = Network(MODEL, seed=1, threads=threads)
        with every_thread_works(min(threads, 5)) as watch:
            network.loss_and_gradient(x, y, network.initial_state(5), Regularisation(0.2, recurrent_dropout=0.2))
        assert watch.workers("network") == {len(network.layout.groups)} == {min(threads, 5)}
        found.append(network.gradient.flat.tobytes())
    assert len(set(found)) == 1


def test_it_is_saved_and_loaded_with_pytorch_s_names(trained):
    checkpoint = Checkpoint.load(trained[0] / "last.safetensors")
    assert checkpoint.model == MODEL
    assert checkpoint.state.keys() == {"h"}
    assert b"rnn.weight_hh_l1" in (trained[0] / "last.safetensors").read_bytes()


def test_a_program_without_the_cell_says_so(trained, monkeypatch):
    monkeypatch.delitem(CELLS, "elman")
    with pytest.raises(ConfigError, match=r"cell must be one of lstm, .*, not 'elman'"):
        Network(MODEL)


def test_it_writes_what_its_forward_pass_says(trained):
    network = Model.from_checkpoint(Checkpoint.load(trained[0] / "last.safetensors"), threads=2).network
    ids = [3, 1, 4]
    for choice in Sampler(network, ids, choice=Choice(0.0)).draw(20)[:, 0]:
        logits = network.forward(np.array(ids, np.int32)[:, None], network.initial_state(1))
        assert choice == logits[-1, 0].argmax()
        ids.append(int(choice))


def test_its_text_is_the_same_for_any_streams_and_threads(trained):
    checkpoint = Checkpoint.load(trained[0] / "last.safetensors")
    alone = Sampler(Model.from_checkpoint(checkpoint, threads=1).network, [1], seed=5).draw(40)[:, 0]
    network = Model.from_checkpoint(checkpoint, threads=2).network
    together = Sampler(network, [1], seed=5)
    together._strategies.next = lambda: TOGETHER
    for sampler in (Sampler(network, [1], 3, seed=5), together):
        with every_thread_works() as watch:
            np.testing.assert_array_equal(sampler.draw(40)[:, 0], alone)
        assert watch.workers("sampler") == {2}


def test_its_units_are_inspected(trained):
    model = Model.from_checkpoint(Checkpoint.load(trained[0] / "last.safetensors"), threads=1)
    reading = read(model, IDS[:300])
    assert reading.signal == "h"
    assert len(gallery(reading, 4)) == 4
    with pytest.raises(ConfigError, match="signal must be one of h, not 'c'"):
        read(model, IDS[:300], "c")
    found = find(model, IDS, (hypothesis("word"),), permutations=19)
    assert found.found[0].strengths.max() > 0.3
    spans = (on_set(model.network, IDS, start, start + 3, threshold=0.2) for start in range(40, 80))
    selected = next(span for span in spans if span.cells)
    assert 0 < len(similar(model.network, IDS, selected, 3)) <= 3


def test_its_units_are_clamped_and_ablated(trained):
    network = Model.from_checkpoint(Checkpoint.load(trained[0] / "last.safetensors"), threads=1).network
    held = clamp(network, {(0, 3): 0.5})
    state = held.initial_state(2)
    held.forward(np.ones((5, 2), np.int32), state)
    np.testing.assert_allclose(held.signal("h")[:, :, 0, 3], 0.5, atol=1e-6)
    assert np.isfinite(ablate(network, IDS, [(1, 2)], controls=3).overall.value)


def test_the_commands_take_it(trained, tmp_path):
    path = trained[0]
    text = tmp_path / "text.txt"
    text.write_text(TEXT[:1500])
    assert "Elman network, 2 x 20" in succeed("info", path).stdout
    assert len(succeed("sample", path, "--length", 30, "--seed", 1).stdout) >= 30
    assert json.loads(succeed("evaluate", path, text, "--online", "--json").stdout)["loss"] > 0
    assert json.loads(succeed("inspect", path, text, "--json").stdout.splitlines()[0])["signal"] == "h"
    assert "h" in succeed("inspect", "saturation", path, text).stdout
    page = tmp_path / "page.html"
    succeed("inspect", "page", path, text, "-o", page)
    assert '"meaning":"h, what the unit remembers and tells"' in page.read_text()
    lines = succeed("inspect", "ablate", path, text, "--cell", "1:2", "--at", 0.5, "--samples", 2, "--others", 2).stdout
    assert "Clamped: 1:2 at h = 0.5" in lines
    result = invoke("inspect", "ablate", path, text, "--cell", "1:2", "--at", 2)
    assert (result.exit_code, result.stderr) == (1, "Error: h is between -1 and 1, not 2\n")
