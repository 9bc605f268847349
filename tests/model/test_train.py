"""``charrnn.train``: the runs of the command line, from Python."""

import hashlib
import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from command_line import FABLES, SMALL, succeed

import charrnn
from charrnn.checkpoints.run_names import name_of_text
from charrnn.errors import CharRNNError, CheckpointError, ConfigError, CorpusError
from charrnn.records import Evaluated, Finished, Step

SETTINGS = {"hidden": 20, "layers": 2, "seq_len": 16, "batch_size": 8}
QUICK = {**SETTINGS, "steps": 30, "threads": 1}
TIMES = ("elapsed_s", "eta_s", "chars_per_s")


def weights(model):
    """The SHA-256 of all weights, and what the n-grams are made of."""
    digest = hashlib.sha256()
    for name, value in model.network.parameters.items():
        digest.update(name.encode() + value.tobytes())
    kept = model.checkpoint
    return digest.hexdigest(), kept.ngrams, None if kept.ngram_text is None else kept.ngram_text.tolist()


def flags(settings):
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 40},
        {"steps": 30, "cell": "capped-lstm", "embedding": 5, "ema": 0.9, "seed": 7},
        {"steps": 20, "teachers": 2, "dropout": 0.1},
        {"steps": 20, "split": "100/0/0"},
        {"steps": 20, "min_count": 5, "ngrams": "off"},
    ],
    ids=str,
)
def test_it_trains_the_model_that_the_command_trains(tmp_path, text, settings):
    succeed("train", text, "--out", tmp_path, *SMALL, *flags(settings), "-q")
    expected = charrnn.load(tmp_path / "fables")
    threads = 2 if settings == {"steps": 40} else 1
    in_memory = charrnn.train(text.read_text(), **SETTINGS, **settings, threads=threads)
    in_a_folder = charrnn.train(text, out=tmp_path / "python", **SETTINGS, **settings, threads=1)
    assert weights(in_memory) == weights(in_a_folder) == weights(expected)
    assert in_memory.vocabulary == expected.vocabulary
    assert in_memory.checkpoint.training == expected.checkpoint.training
    assert weights(charrnn.load(tmp_path / "python" / "fables")) == weights(expected)


def test_a_preset_and_the_text_choose_what_is_left_open(tmp_path, text):
    options = ("--preset", "best", "--teachers", 0, "--layers", 1, "--steps", 3)
    succeed("train", text, "--out", tmp_path, *options, "-q")
    model = charrnn.train(text, preset="best", teachers=0, layers=1, steps=3)
    expected = charrnn.load(tmp_path / "fables")
    assert weights(model) == weights(expected)
    assert (model.network.config, model.checkpoint.training) == (expected.network.config, expected.checkpoint.training)
    assert model.network.config.cell == "capped-lstm"


def test_its_records_are_those_that_the_command_writes(tmp_path, text):
    result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 30, "--diagnose", "--json")
    records = []
    charrnn.train(text, **QUICK, diagnose=True, on_record=records.append)

    def plain(record):
        return {name: value for name, value in record.items() if name not in (*TIMES, "path")}

    written = [json.loads(json.dumps(record.to_dict())) for record in records]
    assert [plain(record) for record in written] == [plain(json.loads(line)) for line in result.stdout.splitlines()]
    assert {record["path"] for record in written if "path" in record} == {""}
    assert isinstance(records[-1], Finished)


def test_nothing_is_printed_and_nothing_is_written(tmp_path, text, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = charrnn.train(text.read_text(), **QUICK)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert model.checkpoint.optimizer == {}
    assert model.mixed().loss("The fox and the heron.") > 0


def test_a_named_run_is_kept_and_the_command_goes_on_with_it(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = charrnn.train(text.read_text(), name="mine", **QUICK)
    folder = tmp_path / "checkpoints" / "mine"
    assert {"last.safetensors", "best.safetensors", "metrics.jsonl"} < {path.name for path in folder.iterdir()}
    assert weights(charrnn.load("checkpoints/mine")) == weights(kept)
    succeed("train", text, "--resume", "--name", "mine", "--steps", 60, "-q")
    assert charrnn.load(folder).checkpoint.counters["step"] > 30
    with pytest.raises(CheckpointError, match="a run is there"):
        charrnn.train(text, name="mine", **QUICK)
    again = charrnn.train(text, name="mine", force=True, **QUICK)
    assert weights(again) == weights(kept)


def test_a_run_has_the_name_of_its_file(tmp_path, text):
    charrnn.train(text, out=str(tmp_path / "a"), **{**QUICK, "steps": 2})
    charrnn.train(text.read_text(), out=tmp_path / "b", **{**QUICK, "steps": 2})
    assert [path.name for path in sorted(tmp_path.glob("*/*"))] == ["fables", "text"]


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need a privilege there")
def test_a_loop_of_links_is_one_line(tmp_path):
    loop = tmp_path / "loop.txt"
    loop.symlink_to("loop.txt")
    with pytest.raises(CharRNNError, match=r"loop\.txt") as caught:
        charrnn.train(loop, out=tmp_path / "runs", **QUICK)
    assert "\n" not in str(caught.value)
    (tmp_path / "a name.txt").symlink_to(FABLES)
    assert name_of_text(tmp_path / "a name.txt") == FABLES.stem


def test_threads_may_be_a_number_of_numpy(text):
    expected = weights(charrnn.train(text, **QUICK))
    assert weights(charrnn.train(text, **{**QUICK, "threads": np.int64(2)})) == expected


def test_snapshots_are_kept_in_a_folder(tmp_path, text):
    charrnn.train(text, out=tmp_path, snapshots=True, sample_every=5, **QUICK)
    assert list((tmp_path / "fables" / "steps").iterdir())


def test_bytes_make_a_model_of_bytes():
    data = "Ünï\r\n".encode() * 400
    model = charrnn.train(data, **QUICK)
    assert model.vocabulary.is_bytes
    assert isinstance(model.sample(length=10), bytes)
    assert charrnn.train(data, as_bytes=False, **QUICK).vocabulary.symbols == tuple("\n\rnÜï")
    assert charrnn.train(data.decode(), as_bytes=True, **QUICK).vocabulary == model.vocabulary


def test_a_string_has_no_encoding():
    assert "ï" in charrnn.train("naïve\n" * 200, encoding="latin-1", **QUICK).vocabulary


def test_it_can_start_from_a_model(tmp_path, text):
    charrnn.train(text, out=tmp_path, **QUICK)
    source = tmp_path / "fables"
    options = ("--init-from", source, "--grow-vocabulary", "--steps", 5, "--out", tmp_path, "--name", "grown")
    other = tmp_path / "other.txt"
    other.write_text("Ünïcode says the fox.\n" * 100)
    succeed("train", other, *options, "-q")
    model = charrnn.train(other, init_from=str(source), grow_vocabulary=True, steps=5)
    assert weights(model) == weights(charrnn.load(tmp_path / "grown"))
    with pytest.raises(ConfigError, match=r"^the model settles hidden: leave it out with init_from$"):
        charrnn.train(other, init_from=source, hidden=8)
    with pytest.raises(ConfigError, match=r"^forget_bias is for new weights: leave it out with init_from$"):
        charrnn.train(other, init_from=source, forget_bias=2.0)
    with pytest.raises(CharRNNError, match="does not know 'Ü'"):
        charrnn.train(other, init_from=source)


def test_a_time_budget_is_kept(text):
    records = []
    charrnn.train(text, time_budget="2s", layers=1, on_record=records.append)
    assert records[-1].reason == "budget"


@pytest.mark.parametrize(
    ("given", "settings", "words"),
    [
        (str(FABLES), {}, "give Path("),
        (42, {}, "the text must be a str, bytes, or the Path of a file, not int"),
        ("", {}, "there is no text in it"),
        ("a", {}, "fewer than 2 characters"),
        ("half \ud800", {}, "half a character, U+D800, at 5"),
        ("fox " * 50, {"hiden": 3}, "did you mean 'hidden'"),
        ("fox " * 50, {"cell": "rgu"}, "cell must be one of"),
        ("fox " * 50, {"snapshots": True}, "give out, or leave them out"),
        ("fox " * 50, {"name": "a/b"}, "cannot be a folder's name"),
        ("fox " * 50, {"threads": 0}, "threads must be a whole number from 1, not 0"),
        ("fox " * 50, {"threads": "2"}, "threads must be a whole number from 1, not '2'"),
        ("fox " * 50, {"threads": 2.0}, "threads must be a whole number from 1, not 2.0"),
        ("fox " * 50, {"split": "half"}, "percentages"),
        (b"fox " * 50, {"min_count": 5}, "as_bytes and min_count exclude each other"),
        ("fox " * 50, {"as_bytes": True, "min_count": 5}, "as_bytes and min_count exclude each other"),
        ("fox " * 50, {"preset": "quick", "teachers": 2}, "teachers take epochs or steps, as the run does"),
        ("fox " * 50, {"hidden": 65_536, "layers": 64}, "GB"),
        (b"\xff\xfe" * 9, {"as_bytes": False}, "byte-order mark of UTF-16"),
        (Path("no such file"), {}, "no such file or text"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(given, settings, words):
    with pytest.raises(CharRNNError) as caught:
        charrnn.train(given, **settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def usual_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupted_at(step, records, times=1):
    def on_record(record):
        records.append(record)
        if isinstance(record, Step) and record.step == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    return on_record


def test_ctrl_c_ends_the_run_and_gives_the_best_model(tmp_path, text, usual_ctrl_c):
    records = []
    with pytest.warns(UserWarning, match="interrupted at step 20"):
        model = charrnn.train(text, **QUICK, eval_every=5, on_record=interrupted_at(20, records))
    assert records[-1].reason == "interrupted"
    best = min((record for record in records if isinstance(record, Evaluated)), key=lambda record: record.val_loss)
    assert model.checkpoint.counters["step"] == best.step
    # The command goes on with a run that was kept, and it ends as if nothing had happened.
    with pytest.warns(UserWarning, match="interrupted"):
        charrnn.train(text, **QUICK, out=tmp_path / "a", on_record=interrupted_at(20, records))
    succeed("train", "--resume", "--name", "fables", "--out", tmp_path / "a", "-q")
    assert weights(charrnn.load(tmp_path / "a" / "fables")) == weights(charrnn.train(text, **QUICK))


def test_a_run_that_was_interrupted_goes_on_from_python(tmp_path, text, usual_ctrl_c):
    kept = {"out": tmp_path, "name": "mine"}
    with pytest.warns(UserWarning, match="interrupted"):
        charrnn.train(text, **QUICK, **kept, on_record=interrupted_at(20, []))
    records = []
    again = charrnn.train(text, **QUICK, **kept, resume=True, on_record=records.append)  # the same call, and resume
    assert (records[0].event, records[0].step) == ("started", 20)
    assert weights(again) == weights(charrnn.train(text, **QUICK))
    with pytest.raises(ConfigError, match=r"the run is complete after 30 steps; give more"):
        charrnn.train(text, **kept, resume=True)
    longer = charrnn.train(text, **kept, resume=True, steps=40)
    assert longer.checkpoint.training.steps == 40


def test_a_run_of_a_text_in_memory_goes_on(tmp_path, text):
    written = text.read_text()
    for given, name in ((written, "a"), (written.encode(), "b")):
        charrnn.train(given, **{**QUICK, "steps": 4}, out=tmp_path, name=name)
        model = charrnn.train(given, resume=True, steps=8, out=tmp_path, name=name)
        assert model.checkpoint.training.steps == 8
        with pytest.raises(ConfigError, match="it would not go on as the same run: the text"):
            charrnn.train(given + given[:50], resume=True, steps=9, out=tmp_path, name=name)
        unknown = "漢" if isinstance(given, str) else "漢".encode()
        with pytest.raises(ConfigError, match="not the text that the run was started with: the text, line") as refused:
            charrnn.train(given + unknown, resume=True, steps=9, out=tmp_path, name=name)
        assert "unknown skip" not in str(refused.value)  # the run has settled it
        more = {"resume": True, "allow_different": True, "steps": 9}
        other = charrnn.train(given + given[:50], **more, out=tmp_path, name=name)
        assert other.checkpoint.training.steps == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resume": True}, "a run is kept in a folder: give out or name"),
        ({"resume": True, "name": "a", "force": True}, "start one"),
        ({"resume": True, "name": "a", "preset": "quick"}, "start one"),
        ({"allow_different": True}, "allow_different goes with resume"),
        ({"resume": True, "name": "nobody"}, "nobody"),
    ],
)
def test_what_cannot_be_resumed(tmp_path, text, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CharRNNError, match=message):
        charrnn.train(text, **arguments)


def test_ctrl_c_before_the_first_evaluation_gives_the_last_weights(text, usual_ctrl_c):
    with pytest.warns(UserWarning, match="interrupted at step 2"):
        model = charrnn.train(text, **QUICK, eval_every=20, on_record=interrupted_at(2, []))
    assert model.checkpoint.counters["step"] == 2


def test_a_second_ctrl_c_leaves_at_once(text, usual_ctrl_c):
    with pytest.raises(KeyboardInterrupt):
        charrnn.train(text, **QUICK, on_record=interrupted_at(2, [], times=2))


def test_a_program_that_handles_ctrl_c_itself_goes_on_to_do_so(text):
    came = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        charrnn.train(text, **QUICK, on_record=interrupted_at(2, []))
    finally:
        signal.signal(signal.SIGINT, before)
    assert came == [signal.SIGINT]


def test_it_trains_in_another_thread(text):
    models = []
    thread = threading.Thread(target=lambda: models.append(charrnn.train(text, **QUICK)))
    thread.start()
    thread.join()
    assert weights(models[0]) == weights(charrnn.train(text, **QUICK))


def test_an_exception_of_the_callback_ends_the_run(tmp_path, text):
    def fail(record):
        if isinstance(record, Step) and record.step == 10:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        charrnn.train(text, **QUICK, out=tmp_path, on_record=fail)
    assert charrnn.load(tmp_path / "fables").checkpoint.counters["step"] <= 10
    charrnn.train(text, **QUICK, out=tmp_path, force=True)  # the folder is not locked any more


def test_a_run_that_diverges_says_so(text):
    with pytest.raises(CharRNNError, match=r"times in a row.*nothing is kept of a run without a folder"):
        charrnn.train(text, **{**QUICK, "steps": 200}, lr=1000.0, clip=0.0, optimizer="sgd", warmup=0, eval_every=200)


def test_a_model_can_be_saved(tmp_path, text):
    model = charrnn.train(text, **QUICK)
    model.network.parameters["b_out"][:] += 0.25
    model.network.parameters_changed()
    model.save(tmp_path / "a.safetensors")
    loaded = charrnn.load(tmp_path / "a.safetensors")
    assert weights(loaded) == weights(model)
    assert loaded.mixed().loss("The fox.") == model.mixed().loss("The fox.")
    assert loaded.checkpoint.corpus["paths"] == ["fables.txt"]
    bare = charrnn.Model(model.network, model.vocabulary)
    bare.save(str(tmp_path / "b.safetensors"))
    assert charrnn.load(tmp_path / "b.safetensors").loss("The fox.") == model.loss("The fox.")
    with pytest.raises(ConfigError, match="save its networks one by one"):
        charrnn.load(tmp_path / "a.safetensors", tmp_path / "a.safetensors").save(tmp_path / "c.safetensors")
    np.testing.assert_array_equal(loaded.encode("The fox"), model.encode("The fox"))


def test_short_texts_have_too_little_to_predict():
    with pytest.raises((CorpusError, ConfigError), match="2 are the least"):
        charrnn.train("abcd", split="50/25/25")


@pytest.mark.parametrize("name", ["fables", "novel.txt", "texts/novel", "texts\\novel"])
def test_a_name_is_not_taken_for_a_text(name):
    with pytest.raises(ConfigError, match="give Path"):
        charrnn.train(name, steps=1)
