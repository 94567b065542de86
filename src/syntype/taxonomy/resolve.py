"""Names of a catalogue brought in line with a backbone; each label's change is a row to be read.

Rows are read twice: first the distinct labels are counted, with the ranks, authors and rank that
came with them; each is matched once; then the rows are rewritten, batch by batch. Memory grows with
the number of distinct labels, not with the number of rows.

    the name is found      scientificName, its authors, taxonRank, taxonID, and the ranks
    only what is above     the ranks down to it; name, species and taxonID stay
    nothing, or ambiguous  all stays as it is

`verbatimIdentification` never changes. Genus and species follow the name; a rank for which the
backbone has no name stays as delivered. The species of a subspecies is its species.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from syntype.configs.resolve import ResolveConfig
from syntype.errors import DataError
from syntype.files import atomic_path
from syntype.progress import SILENT, Progress
from syntype.taxonomy.backbone import Backbone
from syntype.taxonomy.matching import Match, Query, match
from syntype.taxonomy.names import parse
from syntype.taxonomy.taxon import RANKS, Lineage

LABEL = (
    "verbatimIdentification",
    "scientificName",
    "scientificNameAuthorship",
    "taxonRank",
    *RANKS,
)
"""The columns that make a label: rows that agree in them are matched as one."""
REWRITTEN = ("scientificName", "scientificNameAuthorship", "taxonRank", "taxonID", *RANKS)
"""The columns that may change."""
CHANGES = pa.schema(
    [
        ("verbatimIdentification", pa.string()),
        ("rows", pa.int64()),
        ("scientificNameBefore", pa.string()),
        ("scientificNameAfter", pa.string()),
        ("scientificNameAuthorshipBefore", pa.string()),
        ("scientificNameAuthorshipAfter", pa.string()),
        ("taxonRankBefore", pa.string()),
        ("taxonRankAfter", pa.string()),
        ("lineageChanged", pa.string()),
        ("changed", pa.bool_()),
        ("how", pa.string()),
        ("score", pa.float64()),
        ("matchedName", pa.string()),
        ("taxonomicStatus", pa.string()),
        ("taxonID", pa.string()),
        ("note", pa.string()),
    ]
)
"""The table of changes: a row for each distinct label, matched or not.

`changed` tells whether anything but the taxonID is rewritten; `taxonID` is the taxon that was
found, the one above where only that was.
"""
_AFTER = pa.schema([(name, pa.string()) for name in REWRITTEN])
_BETWEEN, _ESCAPE = "\x1f", "\x1e"
_GENUS = RANKS.index("genus")
_PREFIX_OF_MADE_IDS = "#"


@dataclass(frozen=True)
class Resolution:
    """What became of each label, and how rows are rewritten by it.

    Attributes:
        changes: A row for each distinct label, by `CHANGES`, in the order of the alphabet.
        backbone: What the index says of itself, plain JSON types.
        config: What counted as found, plain JSON types.
        after: What is written for each label, null where nothing is; the order is that of `places`.
        places: The row of each label in `after`.
    """

    changes: pa.Table
    backbone: Mapping[str, Any]
    config: Mapping[str, Any]
    after: pa.Table
    places: Mapping[str, int]

    def apply(self, table: pa.Table) -> pa.Table:
        """Rewrite rows.

        Args:
            table: Rows with the columns of `LABEL`; a column that is not there counts as empty.

        Returns:
            The rows in their order, with the columns of `REWRITTEN` changed or added.

        Raises:
            DataError: A label is not one of those that were resolved.
        """
        keys = _keys(table).dictionary_encode()
        try:
            places = [self.places[key] for key in keys.dictionary.to_pylist()]
        except KeyError as error:
            label = error.args[0].split(_BETWEEN)[0]
            raise DataError(
                f"The label {label!r} was not there when the labels were counted: the catalogue "
                "changed meanwhile. Run the command again."
            ) from None
        rows = pa.array(places, pa.int64()).take(keys.indices)
        for name in REWRITTEN:
            new = self.after.column(name).take(rows)
            column = pc.coalesce(new, _text(table, name))
            if name in table.column_names:
                at = table.column_names.index(name)
                field = table.schema.field(at)
                table = table.set_column(at, field, column.cast(field.type))
            else:
                table = table.append_column(name, column.cast(pa.string()))
        return table

    def notes(self) -> dict[str, Any]:
        """Numbers of labels and rows for each way in which a name was found, and what was used."""
        labels: Counter[str] = Counter()
        rows: Counter[str] = Counter()
        changed: Counter[str] = Counter()
        columns = (self.changes.column(name).to_pylist() for name in ("how", "rows", "changed"))
        for how, n, is_changed in zip(*columns, strict=True):
            labels[how] += 1
            rows[how] += n
            changed["labels"] += is_changed
            changed["rows"] += n * is_changed
        return {
            "labels": dict(sorted(labels.items())),
            "rows": dict(sorted(rows.items())),
            "changed": {"labels": changed["labels"], "rows": changed["rows"]},
            "backbone": dict(self.backbone),
            "config": dict(self.config),
        }

    def write_changes(self, path: Path) -> None:
        """Write the table of changes as CSV.

        Raises:
            ResourceError: The disk is full or the folder may not be written.
        """
        with atomic_path(path) as temporary:
            csv.write_csv(self.changes, temporary)


def count_labels(
    tables: Iterable[pa.Table], progress: Progress = SILENT, n_rows: int = 0
) -> dict[str, int]:
    """The distinct labels of a catalogue, as keys for `resolve`, and how many rows have each.

    Args:
        tables: Rows with the columns of `LABEL` as far as they are there.
        progress: Shown how many rows are counted.
        n_rows: How many there are, if that is known.
    """
    counts: Counter[str] = Counter()
    with progress.task("Counting labels", n_rows) as task:
        for table in tables:
            keys = _keys(table).dictionary_encode()
            numbers = np.bincount(keys.indices.to_numpy(), minlength=len(keys.dictionary))
            for key, n in zip(keys.dictionary.to_pylist(), numbers.tolist(), strict=True):
                counts[key] += n
            task.advance(table.num_rows)
    return counts


def resolve(
    labels: Mapping[str, int],
    backbone: Backbone,
    config: ResolveConfig | None = None,
    progress: Progress = SILENT,
) -> Resolution:
    """Match each label once.

    Args:
        labels: As `count_labels` counted them.
        backbone: Where names are looked up.
        config: What counts as found, and what is then rewritten.
        progress: Shown how many labels are matched.
    """
    config = config or ResolveConfig()
    changes: dict[str, list[Any]] = {name: [] for name in CHANGES.names}
    after: dict[str, list[str | None]] = {name: [] for name in REWRITTEN}
    places = {key: place for place, key in enumerate(sorted(labels))}
    with progress.task("Matching names", len(places)) as task:
        for key in places:
            given = dict(zip(LABEL, _label(key), strict=True))
            found = match(backbone, _query(given), config)
            written = _written(given, found, config)
            for name, values in after.items():
                values.append(written.get(name))
            for name, value in _change(given, found, written, labels[key]).items():
                changes[name].append(value)
            task.advance()
    return Resolution(
        changes=pa.table(changes, CHANGES),
        backbone=backbone.facts.notes(),
        config={**asdict(config), "ranks": list(config.ranks)},
        after=pa.table(after, _AFTER),
        places=places,
    )


def resolve_catalogue(
    tables: Callable[[], Iterable[pa.Table]],
    backbone: Path,
    config: ResolveConfig | None = None,
    progress: Progress = SILENT,
    n_rows: int = 0,
) -> tuple[Resolution, Iterator[pa.Table]]:
    """Resolve all names of a catalogue.

    Args:
        tables: Called twice for all rows, batch by batch.
        backbone: Index that `build_backbone` wrote.
        config: What counts as found, and what is then rewritten.
        progress: Shown how far it is.
        n_rows: How many rows there are, if that is known.

    Returns:
        What became of each label; and the rows, rewritten while they are asked for.

    Raises:
        DataNotFoundError: There is no index.
        DataError: It is no index.
    """
    with Backbone(backbone) as opened:
        labels = count_labels(tables(), progress, n_rows)
        resolution = resolve(labels, opened, config, progress)
    return resolution, map(resolution.apply, tables())


def label_key(values: Mapping[str, str]) -> str:
    """The key of one label, for `resolve`.

    Args:
        values: By the names of `LABEL`; what is not named counts as empty.
    """
    return _keys(pa.table({name: [values.get(name, "")] for name in LABEL}))[0].as_py()


def _keys(table: pa.Table) -> pa.Array:
    """The label of each row as one text; signs of its own are escaped, so no two labels are one."""
    columns = []
    for name in LABEL:
        column = pc.replace_substring(_text(table, name), _ESCAPE, f"{_ESCAPE}0")
        columns.append(pc.replace_substring(column, _BETWEEN, f"{_ESCAPE}1"))
    return pc.binary_join_element_wise(*columns, _BETWEEN)


def _label(key: str) -> list[str]:
    return [
        part.replace(f"{_ESCAPE}1", _BETWEEN).replace(f"{_ESCAPE}0", _ESCAPE)
        for part in key.split(_BETWEEN)
    ]


def _text(table: pa.Table, name: str) -> pa.Array:
    """A column of text without nulls, empty where it is not there."""
    if name not in table.column_names:
        return pa.array([""] * table.num_rows, pa.string())
    column = table.column(name).cast(pa.string())
    whole = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
    return pc.fill_null(whole, "")


def _query(given: Mapping[str, str]) -> Query:
    verbatim, name = given["verbatimIdentification"], given["scientificName"]
    authorship = given["scientificNameAuthorship"]
    if not authorship and name:
        # Cleaning takes the authors away, but they may tell homonyms apart.
        parsed = parse(verbatim)
        authorship = parsed.authorship if parsed.key == parse(name).key else ""
    return Query(
        name=name or verbatim,
        authorship=authorship,
        rank=given["taxonRank"].lower(),
        lineage=_lineage([given[rank] for rank in RANKS]),
    )


def _lineage(names: list[str]) -> Lineage:
    kingdom, phylum, class_, order, family, genus, species = names
    return (kingdom, phylum, class_, order, family, genus, species)


def _written(given: Mapping[str, str], found: Match, config: ResolveConfig) -> dict[str, str]:
    """What is written for a label, by column; nothing for what stays."""
    new: dict[str, str] = {}
    if found.names_taxon:
        kept = config.synonyms == "keep" and found.taxon_id != found.accepted_id
        new = _name(given, found, kept)
        own = {"genus": found.lineage[_GENUS], "species": _species(given, found, new)}
        if kept:
            own = {}
        new |= {rank: name for rank, name in own.items() if rank in config.ranks and name}
        new |= _higher(given, found.lineage[:_GENUS], config)
    elif found.taxon_id and config.higher:
        new = _higher(given, found.lineage[: _GENUS + 1], config)
    return {name: value for name, value in new.items() if value != given.get(name)}


def _name(given: Mapping[str, str], found: Match, kept: bool) -> dict[str, str]:
    """Name, authors, rank and id."""
    name = found.name if kept else found.accepted_name
    authorship = found.name_authorship if kept else found.accepted_authorship
    rank = found.rank if kept else found.accepted_rank
    taxon_id = found.taxon_id if kept else found.accepted_id
    new = {"scientificName": name}
    # The authors of another name would be wrong, those of the same are better than none.
    if authorship or name != given["scientificName"]:
        new["scientificNameAuthorship"] = authorship
    if rank:
        new["taxonRank"] = rank
    if not taxon_id.startswith(_PREFIX_OF_MADE_IDS):
        new["taxonID"] = taxon_id
    return new


def _species(given: Mapping[str, str], found: Match, new: Mapping[str, str]) -> str:
    """The name for scores at species level; of a label above species, the label itself."""
    if found.lineage[-1]:
        return found.lineage[-1]
    stands = given["species"] in {"", given["scientificName"]}
    return new["scientificName"] if stands else ""


def _higher(
    given: Mapping[str, str], lineage: tuple[str, ...], config: ResolveConfig
) -> dict[str, str]:
    """The ranks above, as far as the backbone has them and the config lets them be written."""
    if config.lineage == "keep":
        return {}
    names = dict(zip(RANKS, lineage, strict=False))
    return {
        rank: name
        for rank, name in names.items()
        if name and rank in config.ranks and (config.lineage == "overwrite" or not given[rank])
    }


def _change(
    given: Mapping[str, str], found: Match, new: Mapping[str, str], n_rows: int
) -> dict[str, Any]:
    """The row of the table of changes."""

    def after(name: str) -> str:
        return new.get(name, given[name])

    lineage = [f"{r}: {given[r] or '-'} > {new[r]}" for r in RANKS if r in new]
    two: dict[str, str] = {}
    for name in ("scientificName", "scientificNameAuthorship", "taxonRank"):
        two |= {f"{name}Before": given[name], f"{name}After": after(name)}
    return {
        "verbatimIdentification": given["verbatimIdentification"],
        "rows": n_rows,
        **two,
        "lineageChanged": "; ".join(lineage),
        "changed": bool(new.keys() - {"taxonID"}),
        "how": found.how,
        "score": found.score,
        "matchedName": f"{found.name} {found.name_authorship}".strip(),
        "taxonomicStatus": found.status,
        "taxonID": found.accepted_id.removeprefix(_PREFIX_OF_MADE_IDS),
        "note": "; ".join(found.notes),
    }
