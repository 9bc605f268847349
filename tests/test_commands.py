"""The command line: what goes to stdout and to stderr, exit statuses, and the way through train, sample, inspect."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from charrnn.commands import charrnn as command

ROOT = Path(__file__).parent.parent
FABLES = ROOT / "corpora" / "fables.txt"
SMALL = ["--hidden", "20", "--layers", "2", "--seq-len", "16", "--batch-size", "8", "--threads", "1"]


def invoke(*arguments, **options):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], **options)


def succeed(*arguments, **options):
    result = invoke(*arguments, **options)
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "fables.txt"
    path.write_text(FABLES.read_text()[:20_000])
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory, text):
    """A folder with a trained run ``fables``."""
    out = tmp_path_factory.mktemp("runs")
    succeed("train", text, "--out", out, *SMALL, "--steps", 150, "-q")
    return out


@pytest.fixture(scope="module")
def model(runs):
    return runs / "fables"


class TestTrain:
    def test_a_run_leaves_its_three_files_and_says_where(self, tmp_path, text):
        result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 12)
        assert sorted(path.name for path in (tmp_path / "fables").iterdir()) == [
            "best.safetensors",
            "last.safetensors",
            "metrics.jsonl",
        ]
        assert result.stdout == ""
        assert "\x1b" not in result.stderr
        assert f"charrnn sample {tmp_path}/fables" in result.stderr

    def test_json_has_the_records_and_nothing_else(self, tmp_path, text):
        result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 12, "--json", "--sample-every", 6)
        records = [json.loads(line) for line in result.stdout.splitlines()]
        assert [r["event"] for r in records][:2] == ["started", "step"]
        assert {"started", "step", "evaluated", "saved", "sampled", "finished"} == {r["event"] for r in records}
        step = next(r for r in records if r["event"] == "step")
        assert step.keys() >= {
            "step",
            "epoch",
            "characters",
            "loss",
            "bpc",
            "lr",
            "grad_norm",
            "chars_per_s",
            "elapsed_s",
            "eta_s",
        }
        evaluated = next(r for r in records if r["event"] == "evaluated")
        assert evaluated.keys() >= {"val_loss", "val_bpc", "best_val_loss"}
        assert {"path", "reason"} <= next(r for r in records if r["event"] == "saved").keys()
        assert {"path", "reason"} <= records[-1].keys()
        logged = (tmp_path / "fables" / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in logged] == records

    def test_quiet_says_nothing(self, tmp_path, text):
        result = succeed("train", text, "--out", tmp_path, *SMALL, "--steps", 3, "-q")
        assert result.output == ""

    def test_the_same_seed_trains_the_same_model(self, tmp_path, text):
        for name, threads in (("a", 1), ("b", 2)):
            succeed("train", text, "--out", tmp_path, "--name", name, *SMALL, "--steps", 8, "--threads", threads, "-q")
        losses = [
            [json.loads(line).get("loss") for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
            for name in "ab"
        ]
        assert losses[0] == losses[1]

    def test_a_run_is_not_overwritten_unless_told(self, runs, text):
        before = (runs / "fables" / "last.safetensors").read_bytes()
        result = invoke("train", text, "--out", runs, *SMALL, "--steps", 3)
        assert result.exit_code == 1
        assert "--resume to go on, --force to replace" in result.stderr
        assert (runs / "fables" / "last.safetensors").read_bytes() == before
        succeed("train", text, "--out", runs, "--name", "spare", *SMALL, "--steps", 3, "-q")
        succeed("train", text, "--out", runs, "--name", "spare", *SMALL, "--steps", 4, "-q", "--force")

    def test_resume_goes_on_and_knows_what_it_needs(self, tmp_path, text):
        def steps(name):
            return [
                json.loads(line)["loss"]
                for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()
                if '"step"' in line.partition(",")[0]
            ]

        common = ["--out", tmp_path, *SMALL, "-q", "--lr", "0.001", "--warmup", "0", "--seed", "3"]
        succeed("train", text, *common, "--name", "run", "--steps", 10)
        result = invoke("train", text, "--out", tmp_path, "--name", "run", "--resume")
        assert result.exit_code == 1
        assert "complete after 10 steps" in result.stderr
        succeed("train", "--out", tmp_path, "--name", "run", "--resume", "--steps", 15, "-q")
        assert len(steps("run")) == 15
        for options, message in [
            (["--hidden", 30], "started with --hidden 20"),
            (["--dropout", 0.5], "started with --dropout 0.2"),
            (["--name", "other"], "nothing to resume"),
        ]:
            result = invoke("train", text, "--out", tmp_path, "--name", "run", "--resume", "--steps", 20, *options)
            assert result.exit_code == 1
            assert message in result.stderr
        other = tmp_path / "other.txt"
        other.write_text(text.read_text()[::-1])
        result = invoke("train", other, "--out", tmp_path, "--name", "run", "--resume", "--steps", 20)
        assert result.exit_code == 1
        assert "not the text that the run was started with" in result.stderr

    def test_init_from_starts_with_the_weights(self, tmp_path, text, model):
        result = succeed(
            "train", text, "--out", tmp_path, "--init-from", model, "--steps", 2, "--seq-len", 16, "--json", "--lr", 0
        )
        losses = [json.loads(line)["loss"] for line in result.stdout.splitlines() if '"step"' in line.partition(",")[0]]
        assert losses[0] < 3.6  # an untrained model starts near log(70) = 4.2
        result = invoke("train", text, "--out", tmp_path, "--name", "b", "--init-from", model, "--hidden", 5)
        assert result.exit_code == 1
        assert "has hidden 20" in result.stderr
        strange = tmp_path / "strange.txt"
        strange.write_text("Привет " * 100)
        result = invoke("train", strange, "--out", tmp_path, "--init-from", model)
        assert result.exit_code == 1
        assert "U+041F" in result.stderr

    def test_a_config_file_sets_what_flags_do_not(self, tmp_path, text):
        config = tmp_path / "run.toml"
        config.write_text('hidden = 10\nseq-len = 8\nsteps = 4\nbatch_size = 2\noptimizer = "rmsprop"\n')
        succeed("train", text, "--out", tmp_path, "--config", config, "--hidden", 12, "-q")
        result = succeed("info", tmp_path / "fables", "--json")
        info = json.loads(result.stdout)
        assert info["config"]["hidden"] == 12
        assert info["training"]["seq_len"] == 8
        assert info["training"]["batch_size"] == 2
        assert info["training"]["optimizer"] == "rmsprop"

    @pytest.mark.parametrize(
        ("content", "status", "message"),
        [
            ("hiden = 3", 1, "unknown setting 'hiden': did you mean 'hidden'?"),
            ("hidden = [3]", 1, "single value"),
            ("hidden = ", 1, "not TOML"),
            ("hidden = 0", 2, "hidden"),
            ("lr = nan", 2, "finite"),
        ],
    )
    def test_a_bad_config_file_is_one_line(self, tmp_path, text, content, status, message):
        config = tmp_path / "run.toml"
        config.write_text(content)
        result = invoke("train", text, "--out", tmp_path, "--config", config)
        assert result.exit_code == status
        assert message in result.stderr

    @pytest.mark.parametrize("content", ["ab" * 50, "a" * 300, "xy", "a\nb\n" * 3])
    def test_tiny_texts_train(self, tmp_path, content):
        path = tmp_path / "tiny.txt"
        path.write_text(content)
        result = succeed("train", path, "--out", tmp_path, "--hidden", 4, "--steps", 3, "--threads", 1)
        assert "steps instead of" in result.stderr
        succeed("sample", tmp_path / "tiny", "--length", 5)

    @pytest.mark.parametrize(
        ("content", "message"), [(b"", "no text in it"), (b"a", "fewer than 2"), (b"abc \xff def", "offset 4")]
    )
    def test_impossible_texts_are_one_line(self, tmp_path, content, message):
        path = tmp_path / "bad.txt"
        path.write_bytes(content)
        result = invoke("train", path, "--out", tmp_path)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert result.stderr.count("\n") == 1
        assert message in result.stderr
        assert not (tmp_path / "bad").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--hiden", "3"], "--hidden"),
            (["--lr", "nan"], "finite"),
            (["--dropout", "inf"], "dropout"),
            (["--dropout", "1.5"], "dropout"),
            (["--optimizer", "adan"], "adam"),
            (["--time-budget", "soon"], "90s"),
            (["--hidden", "0"], "hidden"),
            (["--force", "--resume"], "--resume goes on"),
        ],
    )
    def test_wrong_usage_is_told(self, text, tmp_path, arguments, message):
        result = invoke("train", text, "--out", tmp_path, *arguments)
        assert result.exit_code == 2
        assert message in result.stderr

    def test_two_ends_of_a_run_exclude_each_other(self, text, tmp_path):
        result = invoke("train", text, "--out", tmp_path, "--steps", 3, "--epochs", 1)
        assert result.exit_code == 1
        assert "epochs and steps exclude each other" in result.stderr

    def test_standard_input(self, tmp_path):
        succeed("train", "-", "--out", tmp_path, *SMALL, "--steps", 2, input=b"a text from a pipe, long enough\n" * 9)
        assert (tmp_path / "stdin" / "last.safetensors").exists()

    def test_bytes(self, tmp_path):
        path = tmp_path / "raw"
        path.write_bytes(bytes(range(256)) * 8)
        succeed("train", path, "--bytes", "--out", tmp_path / "out", *SMALL, "--steps", 2, "-q")
        process = run_cli("sample", tmp_path / "out" / "raw", "--length", 100, "--seed", 1)
        assert process.returncode == 0
        assert len(process.stdout) == 100


class TestSample:
    def test_exactly_the_length_on_stdout_and_the_same_for_a_seed(self, model):
        first = succeed("sample", model, "--length", 137, "--seed", 5)
        assert len(first.stdout) == 137
        assert first.stderr == ""
        assert succeed("sample", model, "--length", 137, "--seed", 5, "--threads", 2).stdout == first.stdout
        assert succeed("sample", model, "--length", 137, "--seed", 6).stdout != first.stdout
        longer = succeed("sample", model, "--length", 200, "--seed", 5).stdout
        assert longer.startswith(first.stdout)

    def test_json_and_count(self, model):
        result = succeed("sample", model, "--count", 3, "--json", "--seed", 5, "--length", 40, "--prime", "The ")
        texts = [json.loads(line) for line in result.stdout.splitlines()]
        assert [text["number"] for text in texts] == [0, 1, 2]
        assert all(text["prime"] == "The " and len(text["text"]) == 40 for text in texts)
        assert len({text["text"] for text in texts}) == 3
        one = succeed("sample", model, "--seed", 5, "--length", 40, "--prime", "The ").stdout
        assert texts[0]["text"] == one

    def test_temperature_zero_is_greedy(self, model):
        texts = {succeed("sample", model, "-t", 0, "-n", 50, "--seed", seed).stdout for seed in range(3)}
        assert len(texts) == 1

    def test_stop(self, model):
        whole = succeed("sample", model, "--length", 300, "--seed", 5).stdout
        stop = whole[100:103]
        assert succeed("sample", model, "--length", 300, "--seed", 5, "--stop", stop).stdout == whole.partition(stop)[0]
        assert succeed("sample", model, "--length", 300, "--seed", 5, "--stop", "☃").stdout == whole

    def test_unknown_characters_of_the_prime(self, model, tmp_path):
        result = invoke("sample", model, "--prime", "Ω☃")
        assert result.exit_code == 1
        assert "U+03A9" in result.stderr
        assert "U+2603" in result.stderr
        skipped = succeed("sample", model, "--prime", "TheΩ ", "--unknown", "skip", "--seed", 1, "--length", 30)
        assert skipped.stdout == succeed("sample", model, "--prime", "The ", "--seed", 1, "--length", 30).stdout
        succeed("sample", model, "--prime", "TheΩ ", "--unknown", "replace", "--length", 5)
        prime = tmp_path / "prime.txt"
        prime.write_text("The ")
        assert succeed("sample", model, "--prime-file", prime, "--seed", 1, "--length", 30).stdout == skipped.stdout
        piped = succeed("sample", model, "--prime-file", "-", "--seed", 1, "--length", 30, input="The ")
        assert piped.stdout == skipped.stdout

    def test_compare(self, model):
        result = succeed("sample", model, "--compare", "0.3,1", "--length", 60, "--seed", 2)
        assert "temperature 0.3" in result.stdout
        assert "temperature 1" in result.stdout
        lines = succeed(
            "sample", model, "--compare", "0.3,1", "--length", 60, "--seed", 2, "--json"
        ).stdout.splitlines()
        assert [json.loads(line)["temperature"] for line in lines] == [0.3, 1]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["-t", "-1"],
            ["-t", "nan"],
            ["-t", "inf"],
            ["-n", "0"],
            ["--top-p", "0"],
            ["--min-p", "2"],
            ["--compare", "a"],
        ],
    )
    def test_wrong_usage(self, model, arguments):
        result = invoke("sample", model, *arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.output

    def test_a_missing_checkpoint_is_one_line_with_what_is_there(self, runs):
        result = invoke("sample", runs / "fabels")
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert "fables" in result.stderr


class TestEvaluateAndInfo:
    def test_evaluate(self, model, text):
        result = succeed("evaluate", model, text, "--json")
        found = json.loads(result.stdout)
        assert found.keys() == {"loss", "bpc", "perplexity", "characters"}
        assert found["characters"] == 19_999
        assert found["bpc"] == pytest.approx(found["loss"] / np.log(2))
        assert found["perplexity"] == pytest.approx(np.exp(found["loss"]))
        shown = succeed("evaluate", model, text).stdout
        assert f"{found['loss']:.4f}" in shown

    def test_evaluate_with_unknown_characters(self, model, tmp_path):
        path = tmp_path / "other.txt"
        path.write_text("The fox\nand ☃ the heron")
        result = invoke("evaluate", model, path)
        assert result.exit_code == 1
        assert "U+2603" in result.stderr
        assert "line 2" in result.stderr
        succeed("evaluate", model, path, "--unknown", "skip")

    def test_info(self, model, text):
        shown = succeed("info", model).stdout
        assert "LSTM, 2 x 20" in shown
        assert "fables.txt" in shown
        found = json.loads(succeed("info", model, "--json").stdout)
        assert found["config"] == {"vocabulary": len(found["vocabulary"]), "hidden": 20, "layers": 2, "embedding": None}
        assert found["progress"]["step"] <= 150
        assert found["history"]


class TestInspect:
    def test_a_gallery_of_cells(self, model, text):
        result = succeed("inspect", model, text, "--length", 600, "--cells", 4)
        assert "FABLES OF THE EBBLE VALLEY" in result.stdout
        assert "\x1b" not in result.stdout
        finds = [
            json.loads(line) for line in succeed("inspect", model, text, "--length", 600, "--json").stdout.splitlines()
        ]
        assert len(finds) == 10
        assert [find["score"] for find in finds] == sorted((find["score"] for find in finds), reverse=True)
        assert all(len(find["values"]) == 600 for find in finds)

    @pytest.mark.parametrize("signal", "chifgo")
    def test_every_signal_of_a_cell(self, model, text, signal):
        from charrnn import load

        options = ("inspect", model, text, "--cell", "1:7", "--signal", signal, "--length", 200)
        assert "cell 1:7" in succeed(*options).stdout
        found = json.loads(succeed(*options, "--json").stdout)
        expected = load(model).activations(text.read_text()[:200])[signal][:, 1, 7]
        np.testing.assert_allclose(found["values"], np.tanh(expected) if signal == "c" else expected, atol=1e-6)

    def test_predictions_and_surprise(self, model):
        line = 'The fox said "no".\n'
        found = json.loads(succeed("inspect", model, "--text", line, "--predictions", "--surprise", "--json").stdout)
        assert found["text"] == line
        assert len(found["predictions"]) == len(found["surprise"]) == len(line)
        assert found["surprise"][0] is None
        for guesses in found["predictions"]:
            chances = [chance for _, chance in guesses]
            assert len(guesses) == 5
            assert chances == sorted(chances, reverse=True)
        likeliest = dict(found["predictions"][3])
        if line[4] in likeliest:
            assert found["surprise"][4] == pytest.approx(-np.log2(likeliest[line[4]]))
        succeed("inspect", model, "--text", line, "--predictions")
        succeed("inspect", model, "--text", line, "--surprise")

    def test_an_offset_reads_what_stands_before(self, model, text):
        whole = json.loads(succeed("inspect", model, text, "--cell", "0:3", "--length", 900, "--json").stdout)["values"]
        part = json.loads(
            succeed("inspect", model, text, "--cell", "0:3", "--offset", 700, "--length", 200, "--json").stdout
        )["values"]
        np.testing.assert_allclose(part, whole[700:], atol=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["--cell", "9:9"], 1, "layers are 0 to 1, units 0 to 19"),
            (["--cell", "x"], 2, "LAYER:UNIT"),
            (["--offset", "99999999"], 1, "nothing at offset"),
            (["--text", "twice"], 2, "Give one text"),
            (["--signal", "z"], 2, "signal"),
        ],
    )
    def test_wrong_usage(self, model, text, arguments, status, message):
        result = invoke("inspect", model, text, *arguments)
        assert result.exit_code == status
        assert message in result.stderr


def run_cli(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "charrnn", *map(str, arguments)],
        capture_output=True,
        timeout=120,
        check=False,
        **options,
    )


class TestProcess:
    """What only a real process shows."""

    def test_help_is_quick_and_imports_neither_numba_nor_numpy(self):
        script = (
            "import sys; from charrnn.commands import charrnn as c\n"
            "try: c.main(sys.argv[1:], prog_name='charrnn')\n"
            "except SystemExit as e: print([m for m in ('numba', 'numpy', 'rich', 'safetensors') if m in sys.modules])"
        )
        for arguments in ([], ["--help"], ["train", "-h"], ["sample", "--help"], ["inspect", "-h"], ["corpus", "-h"]):
            process = subprocess.run(
                [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
            )
            assert process.stdout.endswith("[]\n"), process.stdout + process.stderr

    def test_cli_py_runs_from_a_clone(self):
        process = subprocess.run(
            [sys.executable, str(ROOT / "cli.py"), "--version"], capture_output=True, text=True, check=False
        )
        assert process.stdout.startswith("charrnn ")

    def test_a_typo_gets_a_suggestion(self):
        process = run_cli("smaple")
        assert process.returncode == 2
        assert b"Did you mean 'sample'?" in process.stderr

    def test_a_closed_pipe_is_quiet(self, model):
        process = subprocess.Popen(
            [sys.executable, "-m", "charrnn", "sample", str(model), "--length", "300000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        process.wait(60)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_behind_stdout_is_one_line(self, model):
        with Path("/dev/full").open("wb") as full:
            process = subprocess.run(
                [sys.executable, "-m", "charrnn", "sample", str(model)],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        assert process.returncode == 1
        assert process.stderr.count(b"\n") == 1
        assert b"No space left" in process.stderr

    @pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_a_signal_saves_and_the_run_can_be_resumed(self, tmp_path, text, number, status):
        command = [sys.executable, "-m", "charrnn", "train", str(text), "--out", str(tmp_path), *SMALL]
        process = subprocess.Popen(
            [*command, "--steps", "1000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        log = tmp_path / "fables" / "metrics.jsonl"
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and not (log.exists() and log.read_text().count('"step"') > 20):
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == status, errors
        assert "--resume" in errors
        assert "Traceback" not in errors
        events = [json.loads(line) for line in log.read_text().splitlines()]
        assert events[-1]["event"] == "finished"
        assert events[-1]["reason"] == "interrupted"
        done = events[-1]["step"]
        again = run_cli("train", "--name", "fables", "--out", tmp_path, "--resume", "--steps", done + 5, "-q")
        assert again.returncode == 0, again.stderr
        steps = [json.loads(line)["step"] for line in log.read_text().splitlines() if '"step", "step"' in line]
        assert steps == list(range(1, done + 6))

    def test_output_is_utf8_whatever_the_locale(self, tmp_path):
        path = tmp_path / "bengali.txt"
        path.write_text("আমার সোনার বাংলা 🦊\n" * 40, encoding="utf-8")
        environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
        assert run_cli("train", path, "--out", tmp_path, *SMALL, "--steps", 3, "-q", env=environment).returncode == 0
        process = run_cli("sample", tmp_path / "bengali", "--length", 200, "--seed", 1, env=environment)
        assert process.returncode == 0
        assert len(process.stdout.decode("utf-8")) == 200
