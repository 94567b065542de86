"""A CSV, TSV or Parquet table with one row per picture, whatever its columns are called.

Which column holds what is said with --column TERM=NAME, or guessed (`syntype.data.columns`), and
what was found is kept in the notes for everyone to see. Paths are relative to the table's folder,
or to the folder `images` in it; absolute ones are taken relative to the folder that all share, so
that ids stay the same on another machine.

A column `species` may hold the epithet alone beside a `genus` column, as in the catalogues of
TreeOfLife: then both make the label.
"""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from syntype.configs import DataConfig
from syntype.data.columns import map_columns
from syntype.data.dataset import Card, Dataset
from syntype.data.folder import name_of_folder
from syntype.data.locator import Locator
from syntype.data.records import Column, Records, to_dataset
from syntype.errors import DataError, DataNotFoundError
from syntype.taxonomy.taxon import is_epithet

TABLE_ENDINGS = frozenset([".csv", ".tsv", ".txt", ".parquet", ".pq"])
"""Endings of the files that are taken for tables."""

TABLE_NAMES = ("labels.csv", "metadata.csv", "catalogue.parquet", "catalog.parquet")
"""Tables that are looked for in a folder, in this order; their set is named after the folder."""

_DELIMITERS = ",;\t|"


def read_table(path: Path, config: DataConfig, *, name: str = "") -> Dataset:
    """Read a table of pictures.

    Args:
        path: The table.
        config: Its `column` and `unit` name columns.
        name: The set's name; where empty the table's, or its folder's if the table is called
            labels, metadata or catalogue.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: The file is no table, has no rows, or no column for pictures or labels.
        UsageError: An option names a column that is not there.
    """
    if not path.is_file():
        raise DataNotFoundError(f"There is no table {path}. Check the path given to --data.")
    generic = path.name.lower() in TABLE_NAMES
    name = name or (name_of_folder(path.parent) if generic else path.stem)
    table, encoding = read_columns(path)
    mapped = map_columns(table, name, config)
    columns = dict(mapped.values)
    label = columns.pop("label")
    if "genus" in columns and mapped.columns["label"].lower().endswith("species"):
        label = _with_genus(columns["genus"], label)
    root, image = _locators(path, columns.pop("image"))
    no_path = {row: "no path" for row, place in enumerate(image) if not place}
    notes: dict[str, Any] = {"columns": dict(mapped.columns), "guessed": list(mapped.guessed)}
    if encoding:
        notes["encoding"] = encoding
    records = Records(
        card=Card(name=name, source=f"table {path.name}"),
        root=root,
        image=[place or f"row {row + 1}" for row, place in enumerate(image)],
        label=label,
        columns=columns,
        notes=notes,
        unusable=no_path,
    )
    return to_dataset(records, config)


def read_columns(path: Path) -> tuple[dict[str, Column], str]:
    """The columns of a table by name, all as text; and the encoding if it had to be guessed.

    Raises:
        DataError: The file is no table or has no rows.
    """
    try:
        if path.suffix.lower() in {".parquet", ".pq"}:
            table, encoding = pq.read_table(path), ""
        else:
            table, encoding = _read_text(path)
    except (pa.ArrowInvalid, csv.Error, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path} cannot be read as a table: {reason}. Expected is a Parquet file, or UTF-8 "
            "text with one header line and the same number of fields in each row."
        ) from error
    if not table.num_rows:
        raise DataError(
            f"{path} has no rows below its header. Give a table with one row a picture."
        )
    return {column: _as_text(table.column(column)) for column in table.column_names}, encoding


def _read_text(path: Path) -> tuple[pa.Table, str]:
    """A text table by Arrow's reader, each field as text."""
    encoding, guessed = _encoding_of(path)
    with path.open(encoding=encoding, newline="") as handle:
        delimiter = _delimiter_of(handle.readline(), path)
        handle.seek(0)
        header = next(csv.reader(handle, delimiter=delimiter))
    if len(set(header)) < len(header):
        twice = sorted({column for column in header if header.count(column) > 1})
        raise DataError(f"{path} has several columns called {twice}. Rename all but one.")
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(encoding=encoding.removesuffix("-sig")),
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return table, encoding if guessed else ""


def _encoding_of(path: Path) -> tuple[str, bool]:
    """The encoding by its byte order mark, UTF-8 if it is that, else Windows' own, guessed."""
    with path.open("rb") as handle:
        start = handle.read(3)
        if start.startswith((b"\xff\xfe", b"\xfe\xff")):
            return "utf-16", False
        handle.seek(0)
        try:
            for line in handle:
                line.decode("utf-8")
        except UnicodeDecodeError:
            return "cp1252", True
    return "utf-8-sig", False


def _delimiter_of(header: str, path: Path) -> str:
    """The delimiter that the header line has most of."""
    if not header.strip():
        raise DataError(f"{path} is empty. Give a table with a header and one row a picture.")
    return max(_DELIMITERS, key=header.count)


def _as_text(column: pa.ChunkedArray) -> Column:
    """A column as text, None where a cell is empty."""
    if not pa.types.is_string(column.type):
        try:
            column = column.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return [None] * len(column)  # pictures' bytes, lists: no column of ours
    return column.to_pylist()


def _with_genus(genera: Column, species: Column) -> Column:
    """Genus and epithet where `species` holds the epithet alone."""
    return [
        f"{genus} {name}" if genus and name and is_epithet(name) else name
        for genus, name in zip(genera, species, strict=True)
    ]


def _locators(path: Path, places: Column) -> tuple[Path, Sequence[str]]:
    """The root, and each picture's path relative to it with /; "" where there is none.

    Raises:
        DataError: The places are addresses on the web.
    """
    texts = [(place or "").strip().replace("\\", "/") for place in places]
    first = next((text for text in texts if text), "")
    if "://" in first:
        raise DataError(
            f"{path} names pictures on the web ({first}). Fetch them first and give a table with "
            "the paths of the files, or name another column with --column image=NAME."
        )
    if any(map(os.path.isabs, texts)):
        texts = [os.path.join(path.parent.resolve(), text) if text else "" for text in texts]
        root = Path(os.path.commonpath([os.path.dirname(text) for text in texts if text]))
        texts = [os.path.relpath(text, root) if text else "" for text in texts]
    else:
        root = path.parent
        if not (root / _file_of(first)).exists() and (root / "images" / _file_of(first)).exists():
            root = root / "images"
    return root, [os.path.normpath(text) if text else "" for text in texts]


def _file_of(locator: str) -> str:
    return Locator.of(locator).path
