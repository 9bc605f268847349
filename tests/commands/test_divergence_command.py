"""``charrnn train`` on losses that are no numbers: it ends, in a line that says what to do."""

import numpy as np
from command_line import SMALL, invoke

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.inference.loss import Evaluation
from charrnn.training import validation


def test_a_run_whose_validation_loss_is_never_a_number_ends(tmp_path, text, monkeypatch):
    monkeypatch.setattr(validation, "evaluate", lambda *arguments, **options: Evaluation(np.nan, 1))
    options = ["--out", tmp_path, "--name", "r", *SMALL, "--eval-every", 110, "--sample-every", 0, "-q"]
    result = invoke("train", text, *options, "--steps", 600)
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("Error: step 330: the validation loss is no longer a number, 3 times in a row")
    assert "there is no best checkpoint, and --resume goes on from the good weights of step 300" in error
    assert not (tmp_path / "r" / "best.safetensors").exists()


def test_a_run_of_absurd_settings_leaves_checkpoints_that_can_be_read(tmp_path):
    """Weights of 1e30 and losses of 3e25 were saved once, and then nothing could read them."""
    text = tmp_path / "small.txt"
    text.write_text("the fox and the heron\n" * 60)
    options = ["--hidden", 16, "--layers", 1, "--batch-size", 1, "--seq-len", 32, "--optimizer", "sgd", "--lr", 1000]
    options += ["--weight-decay", 100, "--clip", 0, "--warmup", 0, "--save-every", 1, "--schedule", "constant"]
    place = ["--out", tmp_path, "--name", "r", "--threads", 1, "-q"]
    result = invoke("train", text, *options, *place, "--steps", 6, "--dropout", 0)
    assert result.exit_code == 1
    assert "3 times in a row although the learning rate was halved" in result.stderr
    for name in ("last", "previous"):
        Checkpoint.load(tmp_path / "r" / f"{name}.safetensors")
    again = invoke("train", text, *place, "--resume")
    assert "beyond" not in again.stderr
    assert again.exit_code in (0, 1)
