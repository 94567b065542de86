"""From `--data` to one dataset: read, join, check the pictures, choose, split.

    folder:PATH             class folders
    table:PATH              a CSV, TSV or Parquet table
    catalogue:PATH          a catalogue (`syntype.data.catalogue`), or the part that is asked for
    vlm4bio:PATH[#LIST]     VLM4Bio as published
    KIND:PATH[#PART]        a published benchmark (`syntype.data.benchmarks`): nabirds, inat21 ...
    synthetic:SIZE          made on the spot, below the workspace
    PATH                    a file is a table; a folder with labels.csv, metadata.csv or
                            catalogue.parquet is that table, one with catalogue.json is a
                            catalogue; any other has class folders

`NAME=` before any of these but synthetic names the set. A set is named after its folder or table
otherwise, and the name begins every id: a set whose folder is renamed is another set, unless it
is given its name.

The notes of the dataset, plain JSON types, SET the name of a set:

    cleaning        SET to: steps [[rule, distinct labels], ...], changed {label: name},
                    rowsMissing, rowsBlank, noBinomial [name, ...]
    columns         SET (tables only) to {term: column}
    guessed         SET (tables only) to [term, ...], the columns that nobody named
    encoding        SET to the encoding, where a table's had to be guessed
    list            SET (VLM4Bio only) to the name of the list
    expected        SET (benchmarks only, where the numbers differ) to: published, found (rows)
    leftOut         total, reasons {reason: rows}, rows [{id, reason}, ...] (the first 1000)
    limit           rows left out because of --taxon, --per-species and --limit
    notAskedFor     those of them that were never read, by set (catalogues only)
    duplicates      pictures, copies, nLeaks, leaks [{id, split, copyOf, copySplit}, ...],
                    labelsDiffer [[id, ...], ...]: see `syntype.data.duplicates`
    unitsJoined     units that became part of another because they share a picture
    splits          SET to: origin (given, made, completed, replayed), train, val, test (rows)
    manifest        hash of the split that was replayed, only where one was
    unitsCut        units, examples [unit, ...]: units that a given split cuts; 0 is as it should be
    singletons      taxon group to its number of species with one unit
    species         taxon group to its number of species
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from syntype.configs import DataConfig
from syntype.configs.samples import SPLIT_KINDS
from syntype.data.benchmarks.read import read_benchmark
from syntype.data.benchmarks.registry import BENCHMARKS
from syntype.data.catalogue import is_catalogue
from syntype.data.choosing import lot, lowest, of_taxa
from syntype.data.collections.registry import COLLECTIONS
from syntype.data.dataset import Dataset
from syntype.data.digests import digest_pictures
from syntype.data.duplicates import duplicates_notes, joined_units, leaks
from syntype.data.folder import read_folder
from syntype.data.from_catalogue import read_catalogue
from syntype.data.manifest import read_manifest, replay
from syntype.data.numbering import row_hashes
from syntype.data.records import SPLITS, left_out_notes, merge_left_out
from syntype.data.splits import (
    complete_split,
    singletons,
    units_cut,
    unseen_split,
)
from syntype.data.table import TABLE_NAMES, read_table
from syntype.data.vlm4bio import DEFAULT_LIST, is_vlm4bio, read_vlm4bio
from syntype.errors import DataError, DataNotFoundError, UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import content_hash

RECORDS = "records"
"""The kind of museum and occurrence records, whatever their format."""
IMPORTED = (*COLLECTIONS, RECORDS)
"""What is read into a catalogue first, as it may not fit into memory."""
KINDS = ("folder", "table", "catalogue", "vlm4bio", "synthetic", *BENCHMARKS)
# For `syntype data list`.
SOURCES = (
    ("FOLDER", "a folder of class folders, or with labels.csv, metadata.csv or catalogue.parquet"),
    ("FILE", "a CSV, TSV or Parquet table: one row a picture, columns named or guessed"),
    ("folder:FOLDER", "class folders, whatever else lies there"),
    ("table:FILE", "a table, whatever its ending"),
    ("CATALOGUE", "a catalogue that `syntype data import` made"),
    *((f"import: {one.usage}", one.title) for one in COLLECTIONS.values()),
    ("import: records:PATH", "museum and occurrence records: Darwin Core, GBIF, iDigBio"),
    ("vlm4bio:FOLDER[#LIST]", "VLM4Bio as published; LIST is 10k, easy, medium, hard or prompting"),
    ("synthetic:SIZE", "a drawn tree of life: tiny, small, medium, or species=60,images=4000"),
    *((benchmark.usage, benchmark.title) for benchmark in BENCHMARKS.values()),
    ("NAME=...", "any of these but synthetic, under a name of its own"),
)
_LISTED = 20


def undrawn(config: DataConfig, workspace: Path) -> tuple[int, int] | None:
    """Pictures and species of the set, if it is synthetic and still to be drawn; else None.

    `load_dataset` would draw it first, which takes a while: a plan can do without.
    """
    kinds = [parse_spec(spec) for spec in config.data]
    if {kind for _, kind, _ in kinds} != {"synthetic"}:
        return None
    from syntype.data.synthetic import is_drawn, parse_size

    worlds = [parse_size(text) for _, _, text in kinds]
    if all(is_drawn(_world_folder(world, workspace)) for world in worlds):
        return None
    return sum(world.n_images for world in worlds), sum(world.n_species for world in worlds)


def _world_folder(world: object, workspace: Path) -> Path:
    return workspace / "data" / f"synthetic-{content_hash(world)}"


def load_dataset(
    config: DataConfig, *, workspace: Path, progress: Progress = SILENT, workers: int = 0
) -> Dataset:
    """The samples that `config` asks for, sorted by id.

    Args:
        config: Which sets, and how they are read and split.
        workspace: Where synthetic sets are written and digests remembered.
        progress: Where to say how far it is.
        workers: Threads that read pictures; 0 takes what the processors allow.

    Returns:
        The joined set, each row with a digest and a split; its notes say what was done.

    Raises:
        DataNotFoundError: A folder, a table or every picture is missing.
        DataError: A set cannot be used, or holds one species only.
        UsageError: An option is malformed, or two sets have the same name.
    """
    parts = [read_spec(spec, config, workspace, progress, workers) for spec in config.data]
    dataset = _join(parts)
    dataset = _choose(dataset, config)
    dataset = _digest(dataset, config, workspace / "data" / "digests", progress, workers)
    dataset = _split(dataset, config)
    species = dataset.counts("species")
    if len(species) < 2:
        raise DataError(
            f"All {len(dataset)} pictures are of one species ({next(iter(species))}), which leaves "
            "nothing to tell apart. Give a set with two species or more, or name the column of "
            "the labels with --column label=NAME."
        )
    return dataset


def read_spec(
    spec: str, config: DataConfig, workspace: Path, progress: Progress, workers: int
) -> Dataset:
    """The rows of one `--data`, as its reader finds them.

    Raises:
        DataNotFoundError: There is nothing.
        DataError: It cannot be read.
        UsageError: It must be imported first.
    """
    name, kind, text = parse_spec(spec)
    if kind in IMPORTED:
        raise UsageError(
            f"{spec} is read into a catalogue first: `syntype data import {spec} --out CATALOGUE`, "
            "then --data CATALOGUE."
        )
    if kind == "synthetic":
        from syntype.data.synthetic import parse_size, write_world  # NumPy-heavy: only if asked for

        world = parse_size(text)
        folder = _world_folder(world, workspace)
        return write_world(world, folder, workers=workers, progress=progress)
    has_parts = kind == "vlm4bio" or kind in BENCHMARKS
    place, _, subset = text.partition("#") if has_parts else (text, "", "")
    path = Path(place).expanduser()
    if kind == "vlm4bio":
        return read_vlm4bio(path, config, subset=subset or DEFAULT_LIST, name=name)
    if kind in BENCHMARKS:
        return read_benchmark(kind, path, config, part=subset, name=name)
    if kind == "table":
        return read_table(path, config, name=name)
    if kind == "catalogue":
        return read_catalogue(path, config)
    if kind == "folder":
        _refuse_columns(config, path)
        return read_folder(path, config, name=name)
    return _read_path(path, config, name)


def parse_spec(spec: str) -> tuple[str, str, str]:
    """Name, kind and the rest of one `--data`; name and kind are "" where it has none."""
    name, equals, rest = spec.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", name) or Path(spec).expanduser().exists():
        name, rest = "", spec
    kind, colon, text = rest.partition(":")
    if colon and kind in (*KINDS, *IMPORTED):
        return name, kind, text
    return name, "", rest


def _read_path(path: Path, config: DataConfig, name: str) -> Dataset:
    """A bare path: a table, a folder with one, or class folders."""
    if path.is_file():
        return read_table(path, config, name=name)
    if not path.is_dir():
        raise DataNotFoundError(
            f"There is nothing at {path}. --data takes a folder of class folders, a CSV or "
            f"Parquet table, or one of {', '.join(f'{kind}:...' for kind in KINDS)}."
        )
    if is_catalogue(path):
        return read_catalogue(path, config)
    for table in TABLE_NAMES:
        if (path / table).is_file():
            return read_table(path / table, config, name=name)
    if is_vlm4bio(path):
        raise UsageError(f"{path} is laid out like VLM4Bio: read it with --data vlm4bio:{path}.")
    _refuse_columns(config, path)
    return read_folder(path, config, name=name)


def _refuse_columns(config: DataConfig, path: Path) -> None:
    if len(config.data) == 1 and (config.column or config.unit):
        raise UsageError(
            f"{path} is a folder of class folders and has no columns: leave out --column and "
            "--unit, or give a table."
        )


def _join(parts: Sequence[Dataset]) -> Dataset:
    """One table of several sets, sorted by id; columns that a set lacks are ""."""
    names = Counter(card.name for part in parts for card in part.cards)
    if twice := sorted(name for name, n in names.items() if n > 1):
        raise UsageError(
            f"Several sets are called {twice[0]!r}. Give one of them another name: --data "
            "NAME=FOLDER."
        )
    table = pa.concat_tables([part.table for part in parts], promote_options="default")
    filled = [column.fill_null("") for column in table.columns]
    table = pa.table(filled, schema=table.schema).combine_chunks().sort_by("id")
    notes: dict[str, Any] = {}
    for part in parts:
        for key, note in part.notes.items():
            if key != "leftOut":
                notes[key] = notes.get(key, {}) | note if isinstance(note, dict) else note
    notes["leftOut"] = merge_left_out([p.notes["leftOut"] for p in parts if "leftOut" in p.notes])
    roots = {name: root for part in parts for name, root in part.roots.items()}
    cards = tuple(card for part in parts for card in part.cards)
    return Dataset(table, roots, cards, notes)


def _noting(dataset: Dataset, **notes: Any) -> Dataset:
    return replace(dataset, notes={**dataset.notes, **notes})


def _replacing(dataset: Dataset, column: str, values: Sequence[str]) -> Dataset:
    index = dataset.table.schema.get_field_index(column)
    field = dataset.table.schema.field(index)
    table = dataset.table.set_column(index, field, pa.array(values, pa.string()))
    return replace(dataset, table=table)


def _choose(dataset: Dataset, config: DataConfig) -> Dataset:
    """The rows that `taxon`, `per_species` and `limit` ask for.

    Raises:
        DataError: There are none.
    """
    n_gone = sum(dataset.notes.get("notAskedFor", {}).values())
    asked = np.ones(len(dataset), dtype=bool)
    if config.taxon:
        asked = of_taxa(dataset.table, config.taxon).to_numpy()
        if not asked.any():
            raise DataError(
                f"No picture is of {', '.join(config.taxon)}: --taxon takes names of any rank, as "
                "the set writes them. `syntype data info` shows which names it has."
            )
    if config.per_species or config.limit:
        _, species = np.unique(dataset.column("species").astype(str), return_inverse=True)
        places = row_hashes(dataset.ids, lot(config.seed))
        numbers = np.where(asked, species, -1)
        asked = lowest(places, numbers, config.per_species, config.limit)
    chosen = dataset if asked.all() else dataset.select(asked)
    return _noting(chosen, limit=n_gone + len(dataset) - len(chosen))


def _digest(
    dataset: Dataset, config: DataConfig, memory: Path, progress: Progress, workers: int
) -> Dataset:
    """Fill `imageDigest`, and leave out the pictures that are not there."""
    names, images, known = (dataset.column(c) for c in ("datasetName", "image", "imageDigest"))
    digests = np.full(len(dataset), "", dtype=object)
    reasons: dict[int, str] = {}
    for name, root in dataset.roots.items():
        rows = np.flatnonzero(names == name)
        found = digest_pictures(
            root,
            images[rows].tolist(),
            known[rows].tolist(),
            memory=memory,
            progress=progress,
            workers=workers,
        )
        digests[rows] = [one.digest for one in found]
        reasons |= {
            row: one.reason for row, one in zip(rows.tolist(), found, strict=True) if one.reason
        }
    if reasons and (config.on_error == "stop" or len(reasons) == len(dataset)):
        row = min(reasons)
        raise DataNotFoundError(
            f"{len(reasons)} of {len(dataset)} pictures cannot be read, for example "
            f"{dataset.roots[names[row]] / images[row]} ({reasons[row]}). "
            + _advice(dataset, names[row], reasons[row], config)
        )
    left_out = left_out_notes([(dataset.ids[row], reason) for row, reason in reasons.items()])
    kept = np.array([row for row in range(len(dataset)) if row not in reasons], dtype=np.int64)
    dataset = _noting(dataset, leftOut=merge_left_out([dataset.notes["leftOut"], left_out]))
    return _replacing(dataset, "imageDigest", digests.tolist()).select(kept)


def _advice(dataset: Dataset, name: str, reason: str, config: DataConfig) -> str:
    """What to do about a picture of a set that cannot be read."""
    mend = "Mend or remove such pictures"
    if reason == "no such file" and name in dataset.notes.get("columns", {}):
        mend = (
            "Paths are relative to the folder of the table: check the column of the paths "
            "(--column image=NAME)"
        )
    if config.on_error == "stop":
        return f"{mend}, or leave out what cannot be read with --on-error skip."
    return f"{mend}, or give another set with --data."


def _split(dataset: Dataset, config: DataConfig) -> Dataset:
    """Give every row a split: that of a manifest, or after leaks are out and copies are joined."""
    if config.split not in SPLIT_KINDS:
        path = Path(config.split).expanduser()
        dataset = replay(dataset, read_manifest(path), path)
        given = dataset.column("split")
        duplicates = duplicates_notes(dataset, np.zeros(0, dtype=np.int64))
        dataset = _noting(dataset, duplicates=duplicates, unitsJoined=0)
        return _noting_splits(dataset, given, given, "replayed")
    if config.split != "given":
        dataset = _replacing(dataset, "split", [""] * len(dataset))
    gone = leaks(dataset)
    duplicates = duplicates_notes(dataset, gone)
    dataset = dataset.select(np.setdiff1d(np.arange(len(dataset)), gone))
    before = len(set(dataset.column("unit")))
    dataset = _replacing(dataset, "unit", joined_units(dataset))
    joined = before - len(set(dataset.column("unit")))
    dataset = _noting(dataset, duplicates=duplicates, unitsJoined=joined)
    given = dataset.column("split")
    split = _unseen(dataset, config) if config.split == "unseen" else _completed(dataset, config)
    return _noting_splits(_replacing(dataset, "split", split.tolist()), given, split, "made")


def _unseen(dataset: Dataset, config: DataConfig) -> np.ndarray:
    """Whole species kept from training, whatever the sets give."""
    units, species, groups, genera = (
        dataset.column(name).tolist() for name in ("unit", "species", "taxonGroup", "genus")
    )
    places = list(zip(groups, genera, strict=True))
    return unseen_split(units, species, places, config.split_fractions, config.seed)


def _completed(dataset: Dataset, config: DataConfig) -> np.ndarray:
    """What each set gives, and the rest made."""
    names, units, species = (dataset.column(c) for c in ("datasetName", "unit", "species"))
    split = dataset.column("split")
    for name in sorted(dataset.roots):
        rows = np.flatnonzero(names == name)
        split[rows] = complete_split(
            units[rows].tolist(),
            species[rows].tolist(),
            _known_splits(units, split, rows),
            config.split_fractions,
            config.seed,
        )
    return split


def _noting_splits(dataset: Dataset, given: np.ndarray, split: np.ndarray, origin: str) -> Dataset:
    """Note what the splits are, and whether they are as given, completed, or of `origin`."""
    names = dataset.column("datasetName")
    splits = {}
    for name in sorted(dataset.roots):
        rows = names == name
        how = origin
        if origin == "made" and (split[rows] == given[rows]).all():
            how = "given"
        elif origin == "made" and given[rows].any():
            how = "completed"
        parts = {part: int((rows & (split == part)).sum()) for part in SPLITS}
        splits[name] = {"origin": how} | parts
    cut = units_cut(dataset)
    pairs = set(zip(dataset.column("taxonGroup"), dataset.column("species"), strict=True))
    return _noting(
        dataset,
        unitsCut={"units": len(cut), "examples": cut[:_LISTED]},
        splits=splits,
        singletons=singletons(dataset),
        species=dict(sorted(Counter(group for group, _ in pairs).items())),
    )


def _known_splits(units: np.ndarray, split: np.ndarray, rows: np.ndarray) -> list[str]:
    """The splits of `rows`; those that have none take it from their unit in an earlier set."""
    elsewhere = {unit: name for unit, name in zip(units, split, strict=True) if name}
    return [split[row] or elsewhere.get(units[row], "") for row in rows.tolist()]
