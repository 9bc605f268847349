"""``charrnn train`` on losses that are no numbers: it ends, in a line that says what to do."""

import numpy as np
from command_line import SMALL, invoke

from charrnn.inference.loss import Evaluation
from charrnn.training import validation


def test_a_run_whose_validation_loss_is_never_a_number_ends(tmp_path, text, monkeypatch):
    monkeypatch.setattr(validation, "evaluate", lambda *arguments: Evaluation(np.nan, 1))
    options = ["--out", tmp_path, "--name", "r", *SMALL, "--eval-every", 110, "--sample-every", 0, "-q"]
    result = invoke("train", text, *options, "--steps", 600)
    assert result.exit_code == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("Error: step 330: the validation loss is no longer a number, 3 times in a row")
    assert "there is no best checkpoint, and --resume goes on from the good weights of step 300" in error
    assert not (tmp_path / "r" / "best.safetensors").exists()
