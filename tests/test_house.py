"""The house: one row a room, and what each room may import."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "charrnn"
FILES = sorted(PACKAGE.rglob("*.py"))

# From the ground up: a room imports from the rooms that its row names, all of which are above it in this table.
HOUSE = {
    "version": "",
    "errors": "",
    "records": "",
    "sanitise": "",
    "config": "errors",
    "settings": "errors config",
    "system": "errors",
    "kernels": "version system",
    "text": "errors records system",
    "network": "errors config system kernels",
    "checkpoints": "version errors records config system text network",
    "inference": "errors config records system text kernels network",
    "training": "errors records config settings system text kernels network checkpoints inference",
    "verification": "errors records config system text network checkpoints training",
    "compression": "version errors config records text kernels network checkpoints inference training",
    "model": "errors config records sanitise settings system text network checkpoints inference training compression",
    "writing": "errors system text network inference model",
    "analysis": "errors records system text kernels inference model",
    "inspection": "version errors records system text kernels network checkpoints inference model",
    "explanation": "errors config records",
    "display": "errors records sanitise config system writing inspection explanation",
    "commands": "version errors records sanitise config settings system text kernels network checkpoints inference "
    "training verification compression model writing analysis inspection explanation display",
    "__main__": "commands",
    "__init__": "version errors records text inference model",
}

# The rooms that know what a cell is made of; explanation/ has the equations once more, in float64.
# checkpoints/pytorch.py asks the cell for PyTorch's names.
ROOMS_OF_CELLS = ("network", "kernels", "explanation")

# Libraries that only one place imports: the room, or the file.
LIBRARIES = {
    "click": "charrnn/commands",
    "rich": "charrnn/display/terminal charrnn/display/reports charrnn/display/training",
    "numba": "charrnn/kernels",
    "llvmlite": "charrnn/kernels",
    "pickle": "charrnn/kernels/compiler.py",
    "torch": "charrnn/checkpoints/foreign",
    "onnx": "charrnn/checkpoints/foreign/to_onnx.py",
    "prompt_toolkit": "charrnn/display/writing/screen.py",
}


def imports(path):
    """Names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_room_has_a_row_and_rows_point_down():
    assert {room(path) for path in FILES} == HOUSE.keys()
    made = (PACKAGE.parent / "docs" / "make_docs.py").read_text("utf-8")
    assert all(f'"{name}"' in made for name in HOUSE if not name.startswith("__"))
    above = []
    for name, below in HOUSE.items():
        assert set(below.split()) <= set(above), name
        above.append(name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    here, allowed = room(path), HOUSE[room(path)].split()
    for module in imports(path):
        top, _, rest = module.partition(".")
        if top == "charrnn":
            assert rest.split(".")[0] in (*allowed, here), f"{here} may not import {module}"
        places = LIBRARIES.get(top)
        if places is not None:
            name = path.relative_to(PACKAGE.parent).as_posix()
            assert any(f"{name}/".startswith(f"{place}/") for place in places.split()), f"{module} is not imported here"


def test_every_arrow_of_the_house_is_used():
    drawn = {(name, below) for name, row in HOUSE.items() for below in row.split()}
    used = {(room(path), module.split(".")[1]) for path in FILES for module in imports(path) if "charrnn." in module}
    assert drawn - used == set()


@pytest.mark.parametrize("name", [name for name in HOUSE if (PACKAGE / name).is_dir()])
def test_every_room_says_what_it_is_what_it_imports_and_where_to_begin(name):
    docstring = ast.get_docstring(ast.parse((PACKAGE / name / "__init__.py").read_text("utf-8")))
    first, _, rest = docstring.partition("\n\n")
    assert first.endswith(".") and "\n" not in first
    assert "import" in rest and "Begin with" in rest


def strings(path):
    """All string constants of a file that are no docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


@pytest.mark.parametrize("path", [path for path in FILES if room(path) not in ROOMS_OF_CELLS], ids=str)
def test_no_other_room_knows_a_cells_parameters(path):
    found = [text for text in strings(path) if any(name in text for name in ("w_ih", "w_hh", "b_l"))]
    assert not found
