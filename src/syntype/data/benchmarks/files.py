"""The files of a benchmark: pictures by the names that tables give them, tables, lists of pairs.

Published tables disagree with their archives in small ways: an ending in capitals, a folder more
or less above the pictures, rows whose picture was withdrawn.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from syntype.data.records import Column
from syntype.data.table import read_columns
from syntype.errors import DataError
from syntype.taxonomy.taxon import is_epithet


def on_disk(root: Path, image: Sequence[str]) -> tuple[list[str], dict[int, str]]:
    """The pictures by the names that they have on disk.

    Args:
        root: The folder that `image` is relative to.
        image: Paths as a table gives them.

    Returns:
        The paths, with the case of the ending as on disk; and for each row without a file why.
    """
    listings: dict[str, Mapping[str, str]] = {}
    paths: list[str] = []
    missing = {}
    for row, path in enumerate(map(_normal, image)):
        folder, _, file = path.rpartition("/")
        if folder not in listings:
            outside = folder.startswith(("/", "..")) or file == ".."
            listings[folder] = {} if outside else _files_in(root / folder)
        names = listings[folder]
        found = names.get(file) or names.get(_ending_lowered(file))
        if not found:
            missing[row] = "no such file" if path else "no path"
        inside = f"{folder}/" if folder else ""
        paths.append(inside + (found or file) if path else f"row {row + 1}")
    return paths, missing


def _normal(path: str) -> str:
    path = path.strip().replace("\\", "/")
    return os.path.normpath(path) if path else ""


def _files_in(folder: Path) -> Mapping[str, str]:
    """Name on disk by itself, and by itself with the ending in small letters."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file())
    return {_ending_lowered(name): name for name in reversed(names)} | {n: n for n in names}


def _ending_lowered(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return stem + ending.lower()


def best_prefix(root: Path, image: Sequence[str], prefixes: Sequence[str]) -> str:
    """The one of `prefixes` with which most of `image` are files; the first of equals."""
    n_missing = {
        prefix: len(on_disk(root, [prefix + path for path in image])[1]) for prefix in prefixes
    }
    return min(prefixes, key=n_missing.__getitem__)


def table_with(path: Path, needed: Sequence[str]) -> dict[str, Column]:
    """The columns of a table that must have some.

    Raises:
        DataError: It lacks one of `needed`, or is no table.
    """
    columns, _ = read_columns(path)
    if lacking := [name for name in needed if name not in columns]:
        raise DataError(
            f"{path} has no column {', '.join(lacking)}; its columns are: {', '.join(columns)}. "
            f"Fetch it anew, or read it as a table: --data {path}."
        )
    return columns


def pairs(path: Path) -> dict[str, str]:
    """The lines of a text file, each as its first word and the rest of the line."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    halves = (line.strip().partition(" ") for line in lines if line.strip())
    return {word: rest.strip() for word, _, rest in halves}


def binomial(genus: str | None, species: str | None) -> str | None:
    """The scientific name where `species` may be the epithet alone or the whole name."""
    genus, species = (genus or "").strip(), (species or "").strip()
    if genus and is_epithet(species):
        return f"{genus} {species}"
    return species or None


def number(text: str | None) -> str:
    """An id as the whole number that it is, also where a table made `12.0` of it."""
    return re.sub(r"\.0+$", "", (text or "").strip())
