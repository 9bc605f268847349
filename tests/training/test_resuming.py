"""A run that is stopped or killed anywhere and resumed gives the same checkpoints and log as a run in one go."""

import dataclasses
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from teams import every_thread_works
from training_runs import CONFIG, contents, metrics, outcome, resume, run, trainer

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.checkpoints.run_folder import RunFolder
from charrnn.config import TrainConfig
from charrnn.errors import CheckpointError
from charrnn.system import files
from charrnn.training import step as step_module
from charrnn.training.schedule import plateaus
from charrnn.verification.digests import DigestCheck
from charrnn.verification.history import History

SHORT = "the fox said to the heron, (and the heron listened): 12 pies!\n" * 5  # an epoch is 9 windows
STEPS, EVERY = 24, 5


def short(**changes):
    return TrainConfig(
        **{
            **{"seq_len": 8, "batch_size": 4, "steps": STEPS, "eval_every": EVERY, "save_every": 7, "sample_every": 4},
            **{"sample_length": 3, "warmup": 4, "lr": 0.02, "dropout": 0.0},
            **changes,
        }
    )


CASES = {
    "adamw, cosine": short(),
    "adam, linear, ema, dropout": short(optimizer="adam", schedule="linear", ema=0.9, dropout=0.3),
    "rmsprop, step, variational": short(
        **{"optimizer": "rmsprop", "schedule": "step", "decay_after": 1, "variational": True, "dropout": 0.3}
    ),
    "adagrad, exponential, recurrent, inputs": short(
        **{"optimizer": "adagrad", "lr": 0.1, "schedule": "exponential", "decay_after": 0.5, "recurrent_dropout": 0.3},
        **{"input_dropout": 0.2, "label_smoothing": 0.1},
    ),
    "sgd, nesterov, constant, l1, clip value": short(
        **{"optimizer": "sgd", "nesterov": True, "lr": 0.5, "schedule": "constant", "l1": 1e-4, "clip_value": 0.01}
    ),
    "adamw, plateau, ema": short(schedule="plateau", plateau_patience=1, lr=0.5, ema=0.8, steps=20),
    "as the plan has it": short(eval_every=None, save_every=None, sample_every=None, steps=None, epochs=2.3),
    "out of patience": short(lr=1e-9, eval_every=2, patience=3, steps=60),
}


# Steps with a wrong loss: one before the first weights are kept, two in a row, of which the second comes just when
# weights would be kept, and one near the end.
WRONG = (3, 9, 12, 22)


@pytest.fixture(autouse=True)
def without_waiting_for_disks(monkeypatch):
    monkeypatch.setattr(files.os, "fsync", lambda handle: None)


@pytest.fixture
def often_kept(monkeypatch):
    """Good weights are kept every six steps, not every hundred."""
    monkeypatch.setattr(step_module, "KEEP_STEPS", 6)


def begin(path, config, wrong=(), **options):
    """A trainer for the short text; the loss is NaN in the step after each of ``wrong``."""
    return with_wrong_losses(trainer(path, config, text=SHORT, **options), wrong)


def go_on(path, config, wrong=(), **options):
    return with_wrong_losses(resume(path, config, text=SHORT, **options), wrong)


def with_wrong_losses(made, wrong):
    loss_and_gradient = made.network.loss_and_gradient

    def sometimes(*arguments):
        loss = loss_and_gradient(*arguments)
        return np.nan if made.counters.step in wrong else loss

    made.network.loss_and_gradient = sometimes
    return made


@pytest.mark.parametrize("wrong", [(), WRONG], ids=["right", "wrong"])
@pytest.mark.parametrize("case", CASES)
def test_a_run_that_is_stopped_after_every_step_ends_like_one_in_one_go(tmp_path, often_kept, case, wrong):
    config, path = CASES[case], tmp_path / "parts"
    run(begin(tmp_path / "whole", config, wrong))
    made = begin(path, config, wrong)
    with every_thread_works() as watch:
        while not made.is_complete:
            run(made, stop_after=made.counters.step + 1)
            made = go_on(path, config, wrong, threads=1 + made.counters.step % 2)
    for module in ("network", "optimizer"):
        assert watch.workers(module) >= {1, 2}, module  # by turns
    assert outcome(path) == outcome(tmp_path / "whole")
    rollbacks = [record["step"] for record in metrics(path) if record["event"] == "rolled_back"]
    assert rollbacks == [step + 1 for step in wrong if step < made.counters.step]


@settings(max_examples=30)
@given(
    case=st.sampled_from(sorted(CASES)),
    stops=st.sets(st.integers(1, 22), min_size=1, max_size=3),
    threads=st.integers(1, 2),
    embedding=st.sampled_from([None, 5]),
    wrong=st.sets(st.integers(1, 22), max_size=2),
)
def test_a_run_that_is_stopped_anywhere_ends_like_one_in_one_go(
    tmp_path_factory, case, stops, threads, embedding, wrong
):
    config, folder = CASES[case], tmp_path_factory.mktemp("stops")
    run(begin(folder / "whole", config, wrong, embedding=embedding))
    made = begin(folder / "parts", config, wrong, embedding=embedding)
    went_on = False
    with every_thread_works(workers=1) as watch:
        for stop in sorted(stops):
            run(made, stop_after=stop)
            made = go_on(folder / "parts", config, wrong, embedding=embedding, threads=threads)
            if made.is_complete:
                break
            went_on = True
        else:
            run(made)
    if went_on:  # a run that is complete at its first stop does not
        assert threads in watch.workers("network")
    assert outcome(folder / "parts") == outcome(folder / "whole")


class Killed(BaseException):
    """The process was killed: no code of it runs any more."""


def die_at(monkeypatch, moment):
    """Kill the process before its ``moment``-th operation on files; returns a growing list of the operations done."""
    done = []

    def counted(name, operation):
        def operate(*arguments, **options):
            if len(done) >= moment and name != "unlink":
                raise Killed
            # After the kill, an unlink by cleanup code does nothing.
            if len(done) < moment:
                done.append(name)
                return operation(*arguments, **options)

        return operate

    monkeypatch.setattr(files.os, "fsync", counted("fsync", lambda handle: None))
    monkeypatch.setattr(files.os, "link", counted("link", files.os.link))
    for name in ("open", "replace", "unlink"):
        monkeypatch.setattr(files.Path, name, counted(name, getattr(files.Path, name)))
    return done


def is_killed(path, config, moment):
    """Begin a run, and kill it at a moment; whether that was before its end."""
    with pytest.MonkeyPatch.context() as patch:
        die_at(patch, moment)
        try:
            with RunFolder(path).locked():
                run(begin(path, config))
        except Killed:
            return True
    return False


KILLED = short(steps=9, eval_every=3, save_every=4, sample_every=0)


def test_a_run_that_is_killed_at_any_moment_ends_like_one_in_one_go(tmp_path):
    moment, killed = 0, True
    run(begin(tmp_path / "whole", KILLED))
    while killed:
        path = tmp_path / f"{moment}"
        folder = RunFolder(path)
        killed = is_killed(path, KILLED, moment)
        with folder.locked():
            assert not list(path.glob("*.tmp"))
            made = go_on(path, KILLED) if folder.exists() else begin(path, KILLED)
            if not made.is_complete:
                run(made)
        assert outcome(path) == outcome(tmp_path / "whole"), moment
        moment += 1
    assert moment > 54


@pytest.mark.parametrize("first", [0, 1, 2])
def test_a_kill_is_not_taken_for_an_edit_and_kept_checkpoints_are_the_same_after_it(tmp_path, first):
    config, moment, killed = dataclasses.replace(KILLED, keep_checkpoints=3), first, True
    run(begin(tmp_path / "whole", config))
    kept = RunFolder(tmp_path / "whole").kept
    expected = {step: contents(kept.path(step)) for step in kept.steps()}
    assert expected.keys() == {0, 3, 6}
    while killed:
        path = tmp_path / f"{moment}"
        folder = RunFolder(path)
        killed = is_killed(path, config, moment)
        if folder.log.exists():
            assert DigestCheck(History(path)).differences == [], moment
        with folder.locked():
            made = go_on(path, config) if folder.exists() else begin(path, config)
            if not made.is_complete:
                run(made)
        assert {step: contents(folder.kept.path(step)) for step in folder.kept.steps()} == expected
        if History(path).is_finished:
            assert DigestCheck(History(path)).differences == [], moment
        moment += 6
    assert moment > 54


def test_a_kill_while_a_finished_run_is_made_longer_is_not_taken_for_an_edit(tmp_path):
    longer = dataclasses.replace(KILLED, steps=12)
    run(begin(tmp_path / "whole", KILLED))
    assert RunFolder(tmp_path / "whole").load_best().ngrams is not None
    moment, killed = 0, True
    while killed:
        path = shutil.copytree(tmp_path / "whole", tmp_path / f"{moment}")
        with pytest.MonkeyPatch.context() as patch:
            die_at(patch, moment)
            try:
                with RunFolder(path).locked():
                    next(go_on(path, longer).run())  # the first record comes when all files are in order
                killed = False
            except Killed:
                pass
        assert DigestCheck(History(path)).differences == [], moment
        with RunFolder(path).locked():
            run(go_on(path, longer))
        assert DigestCheck(History(path)).differences == [], moment
        moment += 1
    assert moment > 10


def test_a_damaged_last_checkpoint_only_costs_time(tmp_path, capsys):
    run(begin(tmp_path / "whole", short()))
    run(begin(tmp_path / "parts", short()), stop_after=16)
    last = tmp_path / "parts" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-100])
    made = go_on(tmp_path / "parts", short())
    assert made.counters.step == 14
    assert "previous.safetensors, of step 14, is taken instead" in capsys.readouterr().out
    run(made)
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_the_good_weights_are_in_the_checkpoint_only_where_they_differ(tmp_path, often_kept):
    path = tmp_path / "run"
    last = path / "last.safetensors"
    run(begin(path, short(ema=0.9)), stop_after=8)
    assert {"kept", "kept_m", "kept_v", "kept_ema"} < Checkpoint.load(last).optimizer.keys()
    run(go_on(path, short(ema=0.9), wrong={9}), stop_after=10)
    checkpoint = Checkpoint.load(last)
    assert checkpoint.optimizer.keys() == {"m", "v", "ema"}  # the run has just returned to them
    assert (checkpoint.counters["kept_step"], checkpoint.counters["kept_updates"]) == (6, 6)


@pytest.mark.parametrize("fall", [0, 1])  # stopped before the rate falls, and between two falls
def test_a_resumed_run_remembers_plateaus(tmp_path, fall):
    # The learning rate is so high that the loss keeps rising.
    config = TrainConfig(seq_len=16, batch_size=4, steps=60, sample_every=0, warmup=0, lr=1.0, dropout=0.32)
    config = dataclasses.replace(config, schedule="plateau", plateau_patience=1, eval_every=2)
    records = run(trainer(tmp_path / "whole", config))
    rates = [record.lr for record in records if record.event == "step"]
    losses = [record.val_loss for record in records if record.event == "evaluated"]
    assert rates == [1.0 * 0.5 ** plateaus(losses[: step // 2], 1) for step in range(60)]
    falls = [step for step in range(1, 60) if rates[step] < rates[step - 1]]
    assert len(falls) >= 2
    run(trainer(tmp_path / "parts", config), stop_after=falls[fall] - 1)
    run(resume(tmp_path / "parts", config))
    assert outcome(tmp_path / "parts") == outcome(tmp_path / "whole")


def test_a_new_run_replaces_an_old_one_when_it_starts(tmp_path):
    run(trainer(tmp_path / "run", CONFIG))
    folder = RunFolder(tmp_path / "run")
    before = folder.last.read_bytes(), folder.best.read_bytes(), folder.log.read_bytes()
    config = TrainConfig(seq_len=16, batch_size=4, steps=9, eval_every=5, sample_every=0, seed=7)
    records = trainer(folder.path, config).run()
    assert (folder.last.read_bytes(), folder.best.read_bytes(), folder.log.read_bytes()) == before
    next(records)  # then the run is killed
    assert not folder.best.exists()  # it was the old run's
    assert not folder.previous.exists()
    assert folder.log.read_bytes() == b""
    run(resume(folder.path, config))
    run(trainer(tmp_path / "fresh", config))
    assert outcome(folder.path) == outcome(tmp_path / "fresh")


def test_a_resume_needs_everything_that_belongs_to_the_run(tmp_path):
    run(trainer(tmp_path / "run", CONFIG), stop_after=3)

    def broken(change):
        checkpoint = Checkpoint.load(tmp_path / "run" / "last.safetensors")
        change(checkpoint)
        return checkpoint

    changes = [
        lambda checkpoint: checkpoint.optimizer.pop("m"),
        lambda checkpoint: checkpoint.counters.pop("window"),
        lambda checkpoint: setattr(checkpoint, "state", None),
        lambda checkpoint: setattr(checkpoint, "state", {name: part[:, :2] for name, part in checkpoint.state.items()}),
    ]
    for change in changes:
        with pytest.raises(CheckpointError, match="checkpoint"):
            trainer(tmp_path / "run", CONFIG, resume=broken(change))
