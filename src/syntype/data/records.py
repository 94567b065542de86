"""From what a reader found, columns as delivered, to a dataset: names cleaned, ids given.

Every reader ends here, so that a label means the same whatever format it came in. Rows that
cannot be used are left out by name and reason, never silently. Ids and locators depend on the
set's name and on paths relative to its root, so the same set is the same on every machine; ids are
in Unicode's composed form, since file systems differ in the form that they return.

The notes that it makes are described in `syntype.data.load`.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from syntype.configs import DataConfig
from syntype.data.dataset import SCHEMA, Card, Dataset
from syntype.data.naming import clean, each, lineage
from syntype.errors import DataError
from syntype.taxonomy.cleaning import clean_labels
from syntype.taxonomy.taxon import Taxon

PICTURE_ENDINGS = frozenset(
    [".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".jp2"]
)
"""Endings of the files that are taken for pictures, in lower case."""

SPLITS = ("train", "val", "test")
_SPLIT_WORDS = {
    **dict.fromkeys(["train", "training", "trn", "tr"], "train"),
    **dict.fromkeys(["val", "valid", "validation", "validate", "dev", "development"], "val"),
    **dict.fromkeys(["test", "testing", "tst", "te"], "test"),
}
LISTED = 1000
"""Rows that notes name of what was left out."""

Column = Sequence[str | None]


def split_of(word: str | None) -> str:
    """train, val or test for the words that mean them, "" for any other (`all`, `unknown` ...)."""
    return _SPLIT_WORDS.get((word or "").strip().lower(), "")


def left_out_notes(rows: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Notes on pictures left out: how many, for which reasons, and the first thousand by name.

    Args:
        rows: Id and reason of each.
    """
    reasons = Counter(reason for _, reason in rows)
    listed = [{"id": id_, "reason": reason} for id_, reason in sorted(rows)[:LISTED]]
    return {"total": len(rows), "reasons": dict(sorted(reasons.items())), "rows": listed}


def merge_left_out(notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Several of `left_out_notes` as one."""
    reasons: Counter[str] = Counter()
    for note in notes:
        reasons.update(note["reasons"])
    rows = sorted(
        (row for note in notes for row in note["rows"]), key=lambda row: (row["id"], row["reason"])
    )
    return {
        "total": reasons.total(),
        "reasons": dict(sorted(reasons.items())),
        "rows": rows[:LISTED],
    }


@dataclass(frozen=True, kw_only=True)
class Records:
    """What a reader found.

    Attributes:
        card: The set's card; its name begins every id.
        root: The folder that `image` is relative to.
        image: Locator of each picture, with / between folders.
        label: Label of each picture as delivered, None where there is none.
        columns: Further columns of `SCHEMA` by name, as delivered. `verbatimIdentification`
            replaces the label as the verbatim one; ranks replace what the label gives away.
        notes: What the reader has to say, by the keys of `syntype.data.load`, without the name
            of the set.
        unusable: Row number to reason, for rows whose label counts but whose picture is no use.
        left_out: Locator and reason of what is no row at all.
    """

    card: Card
    root: Path
    image: Sequence[str]
    label: Column
    columns: Mapping[str, Column] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    unusable: Mapping[int, str] = field(default_factory=dict)
    left_out: Sequence[tuple[str, str]] = ()


def to_dataset(records: Records, config: DataConfig) -> Dataset:
    """The dataset of `records`: labels cleaned, rows without a use left out.

    Raises:
        DataError: No row has a label and a picture; or a picture stands twice with different
            labels, or has none, and `config.on_error` is `stop`.
    """
    name = records.card.name
    taxa, report = clean_labels(records.label)
    if not any(taxa):
        raise DataError(
            f"{name}: none of the {len(taxa)} rows has a label. Name the column that holds it "
            "with --column label=NAME."
        )
    reasons = _unusable(records, taxa)
    if reasons and config.on_error == "stop":
        row, reason = next(iter(reasons.items()))
        raise DataError(
            f"{name}: {records.image[row]!r} cannot be used: {reason} ({len(reasons)} such rows). "
            "Mend the rows, or leave them out with --on-error skip."
        )
    kept = [row for row in range(len(taxa)) if row not in reasons]
    if not kept:
        raise DataError(f"{name}: no row can be used; the first is left out because: {reasons[0]}.")
    left_out = [
        *records.left_out,
        *((records.image[row], reason) for row, reason in reasons.items()),
    ]
    notes = {
        **{key: {name: note} for key, note in records.notes.items()},
        "cleaning": {name: report.notes()},
        "leftOut": left_out_notes([(_id(name, image), reason) for image, reason in left_out]),
    }
    table = _table(records, taxa, kept)
    return Dataset(table, {name: records.root}, (records.card,), notes)


def _id(name: str, image: str) -> str:
    text = f"{name}/{image}"
    if text.isascii():
        return text
    # Bytes of a file's name that are no UTF-8 are spelt out, so that the id is text at all.
    return unicodedata.normalize("NFC", text.encode("utf-8", "backslashreplace").decode())


def _unusable(records: Records, taxa: Sequence[Taxon | None]) -> dict[int, str]:
    """Row number to the reason why it is left out."""
    reasons = {row: "no label" for row, taxon in enumerate(taxa) if taxon is None}
    reasons |= records.unusable
    places: dict[str, list[int]] = {}
    for row, image in enumerate(records.image):
        if not image.isascii() and any("\ud800" <= sign <= "\udfff" for sign in image):
            reasons[row] = "the file's name is no UTF-8: rename the file"
        if row not in reasons:
            places.setdefault(_id("", image), []).append(row)
    for rows in places.values():
        if len(rows) > 1:
            names = sorted({taxon.species for row in rows if (taxon := taxa[row])})
            if len(names) > 1:
                reason = "the picture stands under several labels: " + ", ".join(names)
                reasons |= dict.fromkeys(rows, reason)
            else:
                reasons |= dict.fromkeys(rows[1:], "the same row stands twice")
    return dict(sorted(reasons.items()))


def _table(records: Records, taxa: Sequence[Taxon | None], kept: Sequence[int]) -> pa.Table:
    name = records.card.name
    delivered = {
        key: _column([column[row] for row in kept])
        for key, column in records.columns.items()
        if key in SCHEMA.names
    }
    given = {key: each(column, clean).to_pylist() for key, column in delivered.items()}
    labels = [records.label[row] for row in kept]
    known = dict(zip(records.label, taxa, strict=True))
    ids = [_id(name, records.image[row]) for row in kept]
    empty = [""] * len(kept)
    columns = {
        **dict.fromkeys(SCHEMA.names, empty),
        **given,
        "id": ids,
        "datasetName": [name] * len(kept),
        "image": [records.image[row] for row in kept],
        "verbatimIdentification": _verbatim(records, kept),
        **lineage(_column(labels), known, delivered),
        "taxonGroup": [group or name for group in given.get("taxonGroup", empty)],
        "unit": [
            f"{name}/{unit}" if unit else id_
            for unit, id_ in zip(given.get("unit", empty), ids, strict=True)
        ],
        "split": [split_of(word) for word in given.get("split", empty)],
        "license": [text or records.card.license for text in given.get("license", empty)],
    }
    return pa.table([pa.array(columns[key], pa.string()) for key in SCHEMA.names], schema=SCHEMA)


def _column(values: Column) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def _verbatim(records: Records, kept: Sequence[int]) -> list[str]:
    """The label exactly as delivered: that of its own column where there is one."""
    column = records.columns.get("verbatimIdentification", [None] * len(records.label))
    return [column[row] or records.label[row] or "" for row in kept]
