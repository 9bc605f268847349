"""The house: who may import what. Arrows point down only."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "charrnn"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the ground up. A file imports from its own floor and from those below.
FLOORS = [
    {
        *("errors", "folders", "files", "records", "config", "presets", "progress", "stopwatch", "palette", "pace"),
        *("strict_json", "charrnn"),
    },
    {"kernels", "text"},
    {"program", "parameters", "threads", "packed", "layout", "workspace", "memory"},
    {"regularisation"},
    {"network"},
    {"lanes"},
    {"saturation"},
    {"tensor_file", "description"},
    {
        *("schedule", "plan", "optimizer", "checkpoint", "runs", "snapshots", "evaluation", "diagnosis", "sampling"),
        *("guard", "verdict"),
    },
    {"growth"},
    {"ngrams", "baselines", "online", "novelty", "ensemble"},
    {"training", "model", "timing", "contest"},
    {"inspection", "analysis"},
    {"terminal"},
    {"pictures", "pages"},
    {"commands"},
    {"__main__"},
]


def imports(path):
    """Names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "charrnn"


def floor(name):
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    here = "charrnn" if parts[0] == "__init__" else parts[0]
    for module in imports(path):
        top = module.split(".")[0]
        if top == "charrnn" and here != "charrnn":
            assert floor(room(module)) <= floor(here), f"{module} is above {here}"
            assert not (here == "terminal" and floor(room(module)) > 0 and room(module) != "terminal"), module
        assert top != "click" or here == "commands"
        assert top != "rich" or here == "terminal"
        assert top not in ("numba", "llvmlite") or here == "kernels"
        assert (top, path.name) in (("pickle", "compiler.py"), ("torch", "contest.py")) or top not in (
            "torch",
            "pickle",
        )
