"""The catalog of texts worth training on, and the way from a name or a path to a file."""

import difflib
import importlib.resources
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from charrnn.errors import CorpusError, brief
from charrnn.system.folders import bundled_file, corpora_folder
from charrnn.text.python_source import write_python_sources

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")  # devices on Windows, also with an extension
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("title", "licence", "note")
_MOST_LISTED = 1000  # files of a folder compared for a "did you mean"


@dataclass(frozen=True)
class CatalogEntry:
    """A text of the catalog.

    A download has an ``address`` (https), its size in ``bytes`` and its ``sha256`` in lower-case hex.  A bundled text,
    which comes with charrnn, and a built-in one, which is made on the user's machine, have None for all three.

    Raises:
        CorpusError: ``name`` has characters other than a-z, 0-9 and hyphens.  It becomes the name of a file, so it must
            not lead to another folder or to a device.
    """

    name: str
    kind: Literal["download", "bundled", "built-in"]
    title: str
    licence: str
    note: str
    address: str | None = None
    bytes: int | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None or _DEVICES.fullmatch(self.name):
            raise CorpusError(
                f"catalog entry {brief(self.name)}: the name must be of a-z, 0-9 and hyphens, and no device's"
            )

    def path(self, folder: Path | None = None) -> Path:
        """The file that the text has or will have: ``NAME.txt`` in ``folder``, by default the user's corpora folder.

        A bundled text is where charrnn is installed.
        """
        if folder is None and self.kind == "bundled":
            return bundled_file(f"corpora/{self.name}.txt")
        return (folder or corpora_folder()) / f"{self.name}.txt"

    @property
    def needs_download(self) -> bool:
        """Whether the text is still to be downloaded."""
        return self.kind == "download" and not exists(self.path())


def load_catalog(path: Path | None = None) -> dict[str, CatalogEntry]:
    """The catalog's entries by name, in the file's order.

    Args:
        path: a TOML file to read instead of the package's own catalog.

    Raises:
        CorpusError: the file cannot be read, is not TOML, or an entry is incomplete or malformed.
    """
    file = path or importlib.resources.files("charrnn.text") / "catalog.toml"
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CorpusError(f"the catalog {file} cannot be read ({error})") from None
    return {name: _entry(name, table) for name, table in tables.items()}


def find_text(source: str | Path, what: str = "a file, a folder") -> Path:
    """The file or folder that ``source`` names.

    If ``source`` is an existing path, it is that path.  Otherwise it must be a name in the catalog: the file has come
    with charrnn, or is in the user's corpora folder; ``python`` is built there on first use.  ``what`` says what the
    user may give besides.

    Raises:
        CorpusError: there is no such file and no such name (the message has the nearest one), the text is not
            downloaded yet, or ``python`` cannot be built.
    """
    if not str(source):
        raise CorpusError(f"an empty name was given for a text: give {what}, or a name from the catalog")
    path = Path(source)
    if exists(path):
        return path
    catalog = load_catalog()
    entry = catalog.get(str(source))
    if entry is None:
        raise CorpusError(_not_found(path, catalog, what))
    path = entry.path()
    if not exists(path):
        if entry.kind == "download":
            raise CorpusError(f"{entry.name} is not downloaded yet: run charrnn corpus get {entry.name}")
        if entry.kind == "bundled":
            raise CorpusError(f"{path}: {entry.name} should have come with charrnn, but is not there: install it again")
        write_python_sources(path)
    return path


def _entry(name: str, table: Any) -> CatalogEntry:
    """The entry of a TOML table, which may be malformed."""

    def require(condition: bool, what: str) -> None:
        if not condition:
            raise CorpusError(f"catalog entry {brief(name)}: {what}")

    require(isinstance(table, dict), "it must be a table")
    kind = table.get("kind", "download")
    require(kind in ("download", "bundled", "built-in"), "kind must be download, bundled or built-in")
    expected = {*_TEXTS, *(("address", "bytes", "sha256") if kind == "download" else ())}
    require(table.keys() - {"kind"} == expected, f"it must have {', '.join(sorted(expected))} and nothing else")
    for key in _TEXTS:
        require(isinstance(table[key], str) and table[key].isprintable(), f"{key} must be one line of text")
    if kind == "download":
        address, size, digest = table["address"], table["bytes"], table["sha256"]
        require(isinstance(address, str) and address.startswith("https://"), "address must begin with https://")
        require(type(size) is int and 0 < size < 1 << 63, "bytes must be a positive whole number")
        require(
            isinstance(digest, str) and _SHA256.fullmatch(digest) is not None,
            "sha256 must be 64 lower-case hexadecimal digits",
        )
    return CatalogEntry(name=name, **{**table, "kind": kind})


def exists(path: Path) -> bool:
    """Whether something is at ``path``. This never raises, even if the path is impossible."""
    try:
        return path.exists()
    except PermissionError:
        return True  # it may be there, in a folder that cannot be entered; reading it raises a clear error
    except OSError:
        return False  # an impossible path, for example too long


def _not_found(path: Path, catalog: dict[str, CatalogEntry], what: str) -> str:
    """The message for a source that does not exist, with the nearest name in its folder or in the catalog."""
    if os.path.islink(path):  # noqa: PTH114, Path.is_symlink fails at a name that is too long
        return f"{path}: a link that leads to no file: remove it, or name the file itself"
    near = difflib.get_close_matches(path.name, _names_in(path.parent), 1)
    guess = str(path.parent / near[0]) if near else next(iter(difflib.get_close_matches(str(path), catalog, 1)), None)
    ending = f"did you mean {guess}?" if guess else f"give {what}, or a name from charrnn corpus list"
    return f"{path}: no such file or text: {ending}"


def _names_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry, _ in zip(folder.iterdir(), range(_MOST_LISTED), strict=False)]
    except (OSError, ValueError):
        return []  # without a list of the folder there is no name to suggest
