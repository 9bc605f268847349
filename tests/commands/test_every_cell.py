"""Everything that works with an LSTM works with every cell, or is refused in one line."""

import dataclasses
import json

import numpy as np
import pytest
from command_line import invoke, succeed
from safetensors.numpy import load_file
from training_runs import CORPUS, TEXT, VOCABULARY, outcome, run

import charrnn
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.config import OPTIMIZERS, ModelConfig, TrainConfig
from charrnn.inference.sampler import Choice, Sampler
from charrnn.network.cells import CELLS
from charrnn.network.network import Network
from charrnn.text.corpus import Parts
from charrnn.training import Run, Trainer

RECURRENT = [cell for cell in CELLS if cell != "transformer"]
SIZES = ["--layers", 2, "--hidden", 12, "--seq-len", 8, "--batch-size", 4, "--threads", 1]
every_cell = pytest.mark.parametrize("cell", CELLS)


def options(cell):
    return ["--cell", cell, *SIZES, *(["--heads", 3, "--context", 11] if cell == "transformer" else [])]


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "fox.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def every_run(tmp_path_factory, short):
    """A folder with a run for each cell, named after it, with n-grams and snapshots."""
    out = tmp_path_factory.mktemp("runs")
    for cell in CELLS:
        sampled = ("--snapshots", "--sample-every", 10, "--eval-every", 15)
        succeed("train", short, "--out", out, "--name", cell, *options(cell), "--steps", 40, *sampled, "-q")
    return out


def refused(*arguments, status=2):
    """The last line of a command that fails."""
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (status, ""), result.stderr
    line = result.stderr.splitlines()[-1]
    assert line.startswith("Error: ")
    return line.removeprefix("Error: ")


def as_json(*arguments):
    return [json.loads(line) for line in succeed(*arguments, "--json").stdout.splitlines()]


# ---- training and resuming ----------------------------------------------------------------------------


def trainer(path, cell, config, resume=None):
    ids = VOCABULARY.encode(TEXT).astype(VOCABULARY.dtype)
    cut = len(ids) * 9 // 10
    parts = Parts(ids[:cut], ids[cut:], ids[:0])
    model = ModelConfig(len(VOCABULARY), 12, 2, None, cell, *((3, 20) if cell == "transformer" else ()))
    network = Network(model, seed=config.seed, threads=1)
    return Trainer(Run(network, config, parts, VOCABULARY, CORPUS, resume), RunFolder(path))


CONFIG = TrainConfig(
    **{"seq_len": 8, "batch_size": 3, "steps": 30, "dropout": 0.2, "ngram_targets": 0.0, "ngrams": "off"},
    **{"eval_every": 9, "sample_every": 0, "save_every": 7, "lr": 1e-3},
)
CASES = [
    {"ema": 0.9, "input_dropout": 0.1, "label_smoothing": 0.1},
    {"optimizer": "sgd", "nesterov": True, "no_carry": True},
    *({"optimizer": name} for name in OPTIMIZERS if name not in ("adamw", "sgd")),
]


@every_cell
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_resumed_run_ends_with_the_same_bits(cell, case, tmp_path):
    """The context is longer than a window, and the run stops in the middle of an epoch: the state is carried."""
    config = dataclasses.replace(CONFIG, **case)
    if cell in RECURRENT and "ema" in case:
        config = dataclasses.replace(config, variational=True, recurrent_dropout=0.1, tar=1.0)
    run(trainer(tmp_path / "whole", cell, config))
    run(trainer(tmp_path / "parts", cell, config), stop_after=17)
    for stop in (23, None):
        _, checkpoint = RunFolder(tmp_path / "parts").load_last(print)
        run(trainer(tmp_path / "parts", cell, config, checkpoint), stop_after=stop)
    whole, parts = outcome(tmp_path / "whole"), outcome(tmp_path / "parts")
    assert whole[1:] == parts[1:]
    assert whole[0] == parts[0]


@every_cell
def test_it_learns(cell, tmp_path):
    records = run(trainer(tmp_path, cell, dataclasses.replace(CONFIG, steps=150, lr=1e-2, dropout=0.0)))
    losses = [record.val_loss for record in records if record.event == "evaluated"]
    assert losses[-1] < 0.7 * losses[0]


@every_cell
def test_without_carry_every_window_begins_alike(cell, every_run, short):
    plain, alone = (as_json("evaluate", every_run / cell, *extra)[0]["loss"] for extra in ((), ("--no-carry",)))
    assert alone != plain
    assert "leave --no-carry out" in refused("evaluate", every_run / cell, "--no-carry", "--online")


def test_no_carry_is_kept_and_scored_as_it_is_trained(short, tmp_path):
    for cell in ("lstm", "transformer"):
        train = ("train", short, "--out", tmp_path, "--name", cell, "-q")
        succeed(*train, *options(cell), "--steps", 12, "--no-carry")
        checkpoint = Checkpoint.load(tmp_path / cell / "best.safetensors")
        assert checkpoint.training.no_carry
        found = as_json("evaluate", tmp_path / cell, "--no-carry")[0]["loss"]
        assert found == pytest.approx(checkpoint.counters["best_val_loss"], rel=0.01)
        succeed(*train, "--resume", "--steps", 14)
        assert Checkpoint.load(tmp_path / cell / "last.safetensors").training.no_carry
    message = refused("train", short, "--out", tmp_path, "--name", "none", *options("gru"), "--resume", status=1)
    assert "nothing to resume" in message


def test_without_carry_a_window_is_as_long_as_the_context(short, tmp_path):
    model = charrnn.train(TEXT, cell="transformer", hidden=8, layers=1, heads=2, context=24, no_carry=True, steps=2)
    checkpoint = model.checkpoint
    assert (checkpoint.model.heads, checkpoint.model.context, checkpoint.training.seq_len) == (2, 24, 24)
    (tmp_path / "settings.toml").write_text(
        'cell = "transformer"\nheads = 2\ncontext = 24\nno-carry = true\nlayers = 1\n'
    )
    settings = ("--config", tmp_path / "settings.toml", "--hidden", 8, "--seq-len", 9, "--steps", 2, "-q")
    succeed("train", short, "--out", tmp_path, *settings)
    checkpoint = Checkpoint.load(tmp_path / "fox" / "last.safetensors")
    assert (checkpoint.model.heads, checkpoint.model.context, checkpoint.training.seq_len) == (2, 24, 9)
    assert checkpoint.training.no_carry


# ---- settings ------------------------------------------------------------------------------------------


@every_cell
@pytest.mark.parametrize(
    "extra",
    ["--dropout 0.3 --input-dropout 0.1 --label-smoothing 0.1", "--ema 0.9 --bytes", "--init orthogonal --clip-value 1",
     "--init uniform --teachers 1", "--init xavier --time-budget 1s", "--diagnose"],
)  # fmt: skip
def test_what_every_cell_takes(cell, extra, short, tmp_path):
    steps = () if "--time-budget" in extra else ("--steps", 3)
    succeed("train", short, "--out", tmp_path, *options(cell), *steps, *extra.split(), "-q", "--ngrams", "off")


REFUSED = {
    "heads": (RECURRENT, 2),
    "context": (RECURRENT, 9),
    "forget_bias": (["rnn", "gru", "transformer"], 2.0),
    "embedding": (["transformer"], 9),
    "variational": (["transformer"], True),
    "recurrent_dropout": (["transformer"], 0.2),
    "tar": (["transformer"], 1.0),
}


@every_cell
@pytest.mark.parametrize("name", REFUSED)
def test_a_setting_that_a_cell_has_no_use_for_is_refused(name, cell, short, tmp_path):
    cells, value = REFUSED[name]
    option = f"--{name.replace('_', '-')}"
    given = [option] if value is True else [option, value]
    train = ("train", short, "--out", tmp_path, *options(cell), "--steps", 2, "-q", *given)
    if cell in cells:
        assert refused(*train) == f"{option} has no effect with --cell {cell}: leave it out."
        assert not (tmp_path / "fox").exists()
        with pytest.raises(charrnn.CharRNNError, match=f"{name} has no effect with cell {cell}: leave it out"):
            charrnn.train(TEXT, cell=cell, steps=2, **{name: value})
    elif name not in ("heads", "context"):
        succeed(*train)


def test_a_preset_s_cell_gives_way_to_the_one_given(short, tmp_path):
    train = ("train", short, "--out", tmp_path, "--preset", "quick", "--hidden", 9, "--time-budget", "1s", "-q")
    for cell in ([], ["--cell", "gru"], ["--cell", "transformer"]):
        succeed(*train, *cell, "--force", "--layers", 1)
        found = Checkpoint.load(tmp_path / "fox" / "last.safetensors").model.cell
        assert found == (cell[1] if cell else "capped-lstm")


def test_widths_fit_the_heads(short, tmp_path):
    """A width that nobody has chosen is made to fit; one that was chosen is not changed."""
    train = ("train", short, "--out", tmp_path, "--cell", "transformer", "--layers", 1, "--force", "-q")
    for extra in (["--steps", 1], ["--time-budget", "1s"], ["--preset", "best", "--teachers", 0, "--steps", 1]):
        succeed(*train, "--heads", 3, *extra)
        model = Checkpoint.load(tmp_path / "fox" / "last.safetensors").model
        assert (model.heads, model.hidden % 3, model.hidden > 60) == (3, 0, True)
    message = refused(*train, "--heads", 3, "--hidden", 32, "--steps", 1)
    assert message == "--heads 3 do not divide --hidden 32: 2 or 4 would."
    for hidden, heads in ((1, 1), (9, 3), (14, 2), (7, 1), (8, 4)):
        succeed(*train, "--hidden", hidden, "--steps", 1)
        assert Checkpoint.load(tmp_path / "fox" / "last.safetensors").model.heads == heads


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ("--context 1", 2, "1 must be at least 2"),
        ("--heads 0", 2, "0 must be at least 1"),
        ("--cell mamba", 2, f"'mamba' is not one of {', '.join(map(repr, CELLS))}."),
        (
            "--cell transformer --context 1000000 --hidden 65536",
            1,
            "choose a smaller hidden size, batch size, sequence",
        ),
        ("--cell transformer --context 1000000 --hidden 64", 1, "length or context"),
    ],
)
def test_bad_values_are_one_line(given, status, message, short, tmp_path):
    assert message in refused("train", short, "--out", tmp_path, *given.split(), "-q", status=status)


def test_a_resume_keeps_heads_context_and_carrying(every_run, short, tmp_path):
    succeed("train", short, "--out", tmp_path, *options("transformer"), "--steps", 4, "-q")
    again = ("train", short, "--out", tmp_path, "--resume", "--steps", 6, "-q")
    for option, value in (("--heads", 4), ("--context", 12)):
        assert f"{option}: " in (message := refused(*again, option, value, status=1))
        assert "which its weights cannot follow" in message
    assert "--no-carry: off in the checkpoint, on asked" in refused(*again, "--no-carry", status=1)
    assert "--variational has no effect" in refused(*again, "--variational", "--allow-different")
    succeed(*again, "--heads", 3, "--context", 11, "--cell", "transformer")
    succeed("train", short, "--out", tmp_path, "--resume", "--steps", 8, "-q", "--no-carry", "--allow-different")
    assert Checkpoint.load(tmp_path / "fox" / "last.safetensors").training.no_carry
    other_windows = ("--seq-len", 13, "--batch-size", 2, "--allow-different")
    succeed("train", short, "--out", tmp_path, "--resume", "--steps", 10, "-q", *other_windows)


# ---- models ----------------------------------------------------------------------------------------------


@every_cell
def test_a_run_goes_on_from_its_weights_with_more_characters(cell, every_run, tmp_path):
    (tmp_path / "more.txt").write_text(TEXT + "ÄÖÜ äöü ß\n" * 20)
    train = ("train", tmp_path / "more.txt", "--out", tmp_path, "--init-from", every_run / cell, "--steps", 3, "-q")
    assert "give" in refused(*train, status=1) or "unknown" in refused(*train, status=1)
    succeed(*train, "--grow-vocabulary", "--force")
    grown = Checkpoint.load(tmp_path / "more" / "last.safetensors").model
    before = Checkpoint.load(every_run / cell / "last.safetensors").model
    assert grown.vocabulary > before.vocabulary
    assert dataclasses.replace(grown, vocabulary=before.vocabulary) == before
    assert "settles --cell" in refused(*train, "--cell", "gru" if cell == "lstm" else "lstm", "--force")


def test_a_run_from_a_transformer_has_its_rate_and_its_windows(every_run, short, tmp_path):
    train = ("train", short, "--out", tmp_path, "--init-from", every_run / "transformer", "--steps", 2, "-q")
    ways = {(): (2e-3, 64), ("--no-carry",): (2e-3, 11), ("--lr", 0.01): (0.01, 64), ("--optimizer", "sgd"): (0.5, 64)}
    for given, wanted in ways.items():
        succeed(*train, *given, "--force")
        training = Checkpoint.load(tmp_path / "fox" / "last.safetensors").training
        assert (training.lr, training.seq_len) == wanted


@every_cell
def test_its_checkpoint_has_pytorch_s_names(cell, every_run):
    tensors = load_file(every_run / cell / "last.safetensors")
    names = {name for name in tensors if not name.startswith(("optimizer.", "state."))}
    module = {name.partition(".")[0] for name in names}
    expected = {"embedding"} if cell == "transformer" else set()
    assert module == {CELLS[cell].torch_module, "head"} | expected
    if cell == "transformer":
        assert tensors["transformer.w_qkv_l1"].shape == (36, 12)
        assert tensors["transformer.w_up_l0"].shape == (128, 12)
        assert tensors["state.k"].shape == (2, 4, 11, 12)
        assert tensors["state.position"].shape == (2, 4, 1)


@every_cell
def test_it_writes_what_its_forward_pass_says(cell, every_run):
    """Beyond the context, without n-grams: greedily, and in as many streams as wanted."""
    network = charrnn.load(every_run / cell, threads=1).network
    prime = np.arange(9, dtype=np.int32)
    drawn = Sampler(network, prime, 2, Choice(0.0)).draw(40)
    text = np.concatenate([prime, drawn[:, 0]])
    logits = network.forward(text[:-1, None].copy(), network.initial_state(1))[8:, 0]
    np.testing.assert_array_equal(logits.argmax(axis=1), drawn[:, 0])
    np.testing.assert_array_equal(drawn[:, 1], drawn[:, 0])


@every_cell
def test_texts_and_scores(cell, every_run, short, tmp_path):
    path, other = every_run / cell, every_run / ("gru" if cell == "lstm" else "lstm")
    for extra in (
        [],
        ["--ngrams", "off"],
        ["--with", other],
        ["--prime", "the fox"],
        ["--count", 3, "--bar-length", 1],
    ):
        if "--bar-length" in extra:
            extra = ["--count", 3]
        text = succeed("sample", path, "--length", 30, "--seed", 1, *extra).stdout
        assert len(text) >= 30
    alone = as_json("evaluate", path)[0]
    assert 0 < alone["loss"] < 4
    assert alone["mixed"]["loss"] < alone["loss"]
    both = as_json("evaluate", path, "--with", other, "--ngrams", "off")[0]["loss"]
    assert both <= (alone["loss"] + as_json("evaluate", other)[0]["loss"]) / 2 + 1e-6
    online = as_json("evaluate", path, "--online", "--ngrams", "off")[0]["online"]
    assert online["loss"] < alone["loss"] + 0.1
    assert "best_order" in as_json("baselines", path, short)[0]["baselines"]
    assert as_json("novelty", path, short)


@every_cell
def test_reports(cell, every_run):
    title = CELLS[cell].title
    about = as_json("info", every_run / cell)[0]
    assert about["config"].get("cell", "lstm") == cell
    lines = succeed("info", every_run / cell).stdout
    assert f"{title}, 2 x 12" in lines
    row = next(each for each in as_json("runs", every_run) if each["name"] == cell)
    assert row["cell"] == title
    if cell == "transformer":
        assert "3 heads, context 11" in lines
        assert (row["heads"], row["context"]) == (3, 11)
        assert "Transformer 2x12  " in succeed("runs", every_run).stdout
    assert succeed("log", every_run / cell).stdout
    records = [json.loads(line) for line in (every_run / cell / "metrics.jsonl").read_text().splitlines()]
    started = next(record for record in records if record["event"] == "started")
    assert (started["heads"], started["context"]) == ((3, 11) if cell == "transformer" else (None, None))


@every_cell
def test_a_start_is_told(cell, short, tmp_path):
    said = succeed("train", short, "--out", tmp_path, *options(cell), "--steps", 1).stderr
    assert (": Transformer 2 × 12" in said) == (cell == "transformer")
    assert ("3 heads, context 11" in said) == (cell == "transformer")


@every_cell
def test_it_is_measured(cell):
    sizes = ("--hidden", 16, "--layers", 1, "--batch-size", 2, "--seq-len", 6, "--seconds", 0.01, "--threads", 1)
    found = as_json("bench", "--cell", cell, *sizes)[0]
    assert found["config"].get("cell", "lstm") == cell
    assert min(found[f"{what}_chars_per_s"] for what in ("training", "evaluation", "sampling")) > 0
    if cell == "transformer":
        assert (found["config"]["heads"], found["config"]["context"]) == (4, 6)
        assert "4 heads, context 6" in succeed("bench", "--cell", cell, *sizes).stdout
    else:
        assert "--heads has no effect" in refused("bench", "--cell", cell, *sizes, "--heads", 2)


@every_cell
def test_it_is_looked_into(cell, every_run, short, tmp_path):
    path, signal = every_run / cell, CELLS[cell].signals[0].name
    assert as_json("inspect", path, short)[0]["signal"] == signal
    assert succeed("inspect", "find", path, short, "--permutations", 19).stdout
    similar = invoke("inspect", "similar", path, "--span", "her", "--match", 1, "--threshold", 0.01)
    assert similar.exit_code == 0 or "no cell is on throughout the span" in similar.stderr
    succeed("inspect", "errors", path, short)
    succeed("inspect", "distance", path, short)
    succeed("inspect", "history", path, short)
    succeed("inspect", "follow", path, "--length", 20, "--seed", 1)
    succeed("inspect", "page", path, short, "-o", tmp_path / "page.html")
    succeed("inspect", "arrays", path, short, "-o", tmp_path / "arrays.npz")
    succeed("inspect", "ablate", path, short, "--cell", "1:2", "--samples", 0, "--others", 2)
    if CELLS[cell].gates:
        succeed("inspect", "saturation", path, short)
    else:
        assert "a Transformer has no gates" in refused("inspect", "saturation", path, short, status=1)


@every_cell
@pytest.mark.parametrize("ending", [".safetensors", ".pt", ".onnx", ".html", ""])
def test_it_is_exported(cell, ending, every_run, tmp_path):
    if ending in (".pt", ""):
        pytest.importorskip("torch", reason="PyTorch is not installed")
    if ending == ".onnx":
        pytest.importorskip("onnx", reason="ONNX is not installed")
    succeed("export", every_run / cell, tmp_path / f"model{ending}")
    assert (tmp_path / f"model{ending}").exists()
    if ending == ".safetensors":
        a, b = charrnn.load(every_run / cell, threads=1), charrnn.load(tmp_path / "model.safetensors", threads=1)
        assert a.loss("the fox said") == b.loss("the fox said")


# ---- files that nobody has trained --------------------------------------------------------------------


def made(path, context=20, state=None, **changes):
    """A checkpoint of a Transformer with heads of one column, whose rings are the largest; it has no n-grams."""
    model = ModelConfig(len(VOCABULARY), 8, 2, None, "transformer", 8, context)
    parameters = dict(Network(dataclasses.replace(model, context=20), threads=1).parameters.items())
    Checkpoint(model, VOCABULARY, parameters=parameters, state=state, **changes).save(path)
    return path


def test_a_context_that_the_memory_does_not_hold_is_refused_before_it_is_asked_for(short, tmp_path, monkeypatch):
    path = made(tmp_path / "long.safetensors", context=1_000_000)
    succeed("info", path)
    monkeypatch.setattr("charrnn.system.memory.installed", lambda: 10**9)
    for command in (
        ("sample", path),
        ("sample", path, "--count", 100),
        ("evaluate", path, short),
        ("evaluate", path, short, "--online"),
        ("inspect", path, short),
        ("inspect", "follow", path),
        ("baselines", path, short, "--fit", short),
        ("train", short, "--out", tmp_path, "--init-from", path),
    ):
        result = invoke(*command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "and this machine has 1.0: " in result.stderr.splitlines()[-1]
    few = made(tmp_path / "few.safetensors", context=2000)
    succeed("sample", few, "--length", 3)
    assert "what the network remembers of 10,000 texts at once" in refused("sample", few, "--count", 10_000, status=1)


@pytest.mark.parametrize("position", [-1, 0.5, 2**24, 1e9])
def test_a_state_with_an_impossible_position_is_refused(position, tmp_path):
    shapes = CELLS["transformer"].state_shapes(ModelConfig(2, 8, 2, None, "transformer", 8, 20), 3)
    state = {name: np.zeros((2, *shape), np.float32) for name, shape in shapes.items()}
    Checkpoint.load(made(tmp_path / "good.safetensors", state=state))
    state["position"][1, 2] = position
    path = made(tmp_path / "bad.safetensors", state=state)
    assert "positions that are not whole numbers from 0 to 16,777,215" in refused("info", path, status=1)


def test_a_cell_that_the_program_does_not_know_is_named(tmp_path, monkeypatch):
    path = made(tmp_path / "other.safetensors")
    monkeypatch.delitem(CELLS, "transformer")
    for command in ("info", "sample", "evaluate"):
        message = refused(command, path, status=1)
        assert f"its cell is 'transformer', and this version of charrnn knows {', '.join(CELLS)}: " in message
    assert "unreadable" in succeed("runs", tmp_path).stdout


@every_cell
def test_changes_are_penalised_only_where_the_output_is_not_the_memory(cell):
    text = "ab" * 112_000  # 9 parts of 10 are for training: no short text
    trained = charrnn.train(text, cell=cell, hidden=4, layers=1, steps=1, ngrams="off", ngram_targets=0.0)
    assert trained.checkpoint.training.tar == (1.0 if "lstm" in cell else 0.0)
