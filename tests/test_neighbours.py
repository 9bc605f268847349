"""The examples of docs/NEIGHBOURS.md run as they stand there."""

import os
import re
import subprocess
import sys

import pytest
from command_line import ROOT, succeed

PAGE = (ROOT / "docs" / "NEIGHBOURS.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("heading", "library", "target"),
    [("PyTorch", "torch", "fables.pt"), ("ONNX", "onnxruntime", "fables.onnx")],
)
def test_an_example_runs(model, tmp_path, heading, library, target):
    for name in {library, library.removesuffix("runtime")}:
        pytest.importorskip(name, reason=f"{name} is not installed")
    succeed("export", model, tmp_path / target, "-q")
    section = PAGE.split(f"### {heading}\n")[1].split("\n### ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    process = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip("\n")
