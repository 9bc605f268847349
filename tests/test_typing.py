"""The Python interface has types, and they are right: mypy reads a program that uses all of it."""

import ast
import re
import subprocess
import sys

import pytest
from command_line import ROOT

pytest.importorskip("mypy", reason="make test installs it")

USE = "tests/support/python_interface.py"
JUDGED = (
    *("__init__", "config", "errors", "records", "sanitise", "settings"),
    *(
        "model/__init__",
        "model/coloured_text",
        "model/from_text",
        "model/identifier",
        "model/line_readers",
        "model/line_scores",
        "model/model",
    ),
    *("model/reading", "model/text_folder"),
    *("checkpoints/run_store", "checkpoints/run_in_memory"),
    *(
        "inference/constraint",
        "inference/guess_numbers",
        "inference/line_losses",
        "inference/loss",
        "inference/online_mixture",
        "inference/robust_z",
        "inference/word_peaks",
    ),
    *("training/stages", "training/stopping"),
)
# What users call, or get from a call.
PUBLIC = (
    *("__init__", "errors", "records", "text/vocabulary"),
    *(
        "model/coloured_text",
        "model/from_text",
        "model/identifier",
        "model/line_scores",
        "model/model",
        "model/reading",
    ),
)
# Each line is a mistake that mypy must find.
MISTAKES = """import charrnn
charrnn.trian("text")
charrnn.train("text", hiden=3)
charrnn.train("text", hidden="3")
charrnn.train("text", on_record=lambda record, more: None)
charrnn.train(["text"])
model = charrnn.load(3)
model = charrnn.load("a").read(3)
model = charrnn.load("a").read("a", unknown="drop")
value: int = charrnn.load("a").loss("text")
value = charrnn.load("a").score("a")[0].bits
value = charrnn.load("a").read("a").signals["c"]
value = charrnn.load("a").mixed().loss("text")
value = charrnn.identify("text", "set").name
charrnn.identify(3, "set")
"""


def mypy(*paths):
    command = [sys.executable, "-m", "mypy", *map(str, paths), "--no-error-summary", "--no-color-output"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert not result.stderr
    return result.stdout.splitlines()


def test_strict_types_of_the_interface_and_of_its_use(tmp_path):
    readme = tmp_path / "readme.py"
    (example,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    readme.write_text(example)
    assert mypy(*(f"charrnn/{name}.py" for name in JUDGED), USE, readme) == []
    wrong = tmp_path / "wrong.py"
    wrong.write_text(MISTAKES)
    found = {int(line.rsplit("wrong.py:", 1)[1].split(":")[0]) for line in mypy(wrong) if ": error:" in line}
    assert found == set(range(2, MISTAKES.count("\n") + 1))


def functions(name):
    """(class or module, function) for every public function, method and property of a file."""
    tree = ast.parse((ROOT / "charrnn" / f"{name}.py").read_text("utf-8"))
    scopes = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_"))]
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
                yield getattr(scope, "name", name), node


@pytest.mark.parametrize("name", PUBLIC)
def test_public_signatures_say_what_they_hold(name):
    for scope, function in functions(name):
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        annotations = [each.annotation for each in every if each is not None and each.arg not in ("self", "cls")]
        if function.name != "__init__":
            annotations.append(function.returns)
        for annotation in annotations:
            assert annotation is not None, f"{scope}.{function.name}"
            written = ast.unparse(annotation)
            vague = re.search(r"\bAny\b|\bnp\.ndarray\b|\b(list|dict|tuple|Sequence|Mapping|Iterator)\b(?!\[)", written)
            assert not vague, f"{scope}.{function.name}: {written}"


def test_the_use_uses_everything():
    from charrnn import Identifier, Model, Reading, __all__

    written = (ROOT / USE).read_text("utf-8")
    for name in __all__:
        assert f"charrnn.{name}" in written
    for kind in (Identifier, Model, Reading):
        for name in vars(kind):
            if not name.startswith(("_", "from_")) and name != "result" and callable(getattr(kind, name)):
                assert f".{name}(" in written, name


def test_type_checkers_find_the_types():
    import configparser

    assert (ROOT / "charrnn" / "py.typed").exists()
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert "py.typed" in setup["options.package_data"]["charrnn"]
