"""VLM4Bio: fish, birds and butterflies with scientific names (Maruf et al. 2024, NeurIPS).

    FOLDER/[datasets/]Fish/metadata/metadata_10k.csv     fileNameAsDelivered,scientificName
    FOLDER/[datasets/]Fish/chunk_0/*.jpg, *.JPG          as published; or flat, Fish/images/*
    ... and the same for Bird and Butterfly; groups that are not there are passed over

A list is chosen by its name, `vlm4bio:FOLDER#easy`: 10k (all pictures; the default), easy, medium,
hard (butterflies only), prompting, 500. The lists come without a split. The name in a list finds
its file anywhere below the group's folder, whatever the case of the ending. The published labels
hold empty cells, a blank, trailing blanks and letter-case variants; `syntype.taxonomy.cleaning`
counts what each rule does, and rows without a label are left out by name. Labels of one word are
genera here, as the paper counts them.

The pictures of birds (CUB-200-2011) must be fetched apart; names without a file are left out.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from syntype.configs import DataConfig
from syntype.data.dataset import Card, Dataset
from syntype.data.folder import name_of_folder, pictures_below
from syntype.data.records import Column, Records, to_dataset
from syntype.data.table import read_columns
from syntype.errors import DataError, DataNotFoundError
from syntype.taxonomy.cleaning import clean_labels
from syntype.taxonomy.taxon import family_of, is_genus_word

GROUPS = ("Fish", "Bird", "Butterfly")
DEFAULT_LIST = "10k"
COLUMNS = ("fileNameAsDelivered", "scientificName")
LICENSES = {"Fish": "CC-BY-NC", "Bird": "CC-BY", "Butterfly": "CC-BY-4.0"}
SOURCE = "doi:10.57967/hf/3393"
LICENSE = "CC-BY-4.0"
CITATION = (
    "Maruf et al. (2024). VLM4Bio: A benchmark dataset to evaluate pretrained vision-language "
    "models for trait discovery from biological images. NeurIPS Datasets and Benchmarks."
)
_LIST = re.compile(r"metadata_(\w+)\.csv")


def read_vlm4bio(
    path: Path, config: DataConfig, *, subset: str = DEFAULT_LIST, name: str = ""
) -> Dataset:
    """Read one list of VLM4Bio, all groups that have it.

    Args:
        path: The folder with `datasets/` or with `Fish/`, `Bird/`, `Butterfly/`.
        config: What to do with rows that cannot be used.
        subset: Name of the list.
        name: The set's name; the folder's where empty.

    Raises:
        DataNotFoundError: There is no such folder, or no group in it has that list.
        DataError: A list has other columns, or none of its files is there.
    """
    lists = {group: _lists(folder) for group, folder in _group_folders(path).items()}
    chosen = {group: found[subset] for group, found in lists.items() if subset in found}
    if not chosen:
        there = sorted(set().union(*lists.values()))
        raise DataNotFoundError(
            f"{path} has no list metadata_{subset}.csv; it has: {', '.join(there) or 'none'}. "
            "Choose one with vlm4bio:FOLDER#LIST."
        )
    image: list[str] = []
    label: list[str | None] = []
    groups: list[str] = []
    missing: dict[int, str] = {}
    for group, table in chosen.items():
        files = _files_by_name(table.parent.parent)
        prefix = table.parent.parent.relative_to(path).as_posix()
        for file, name_given in zip(*_rows(table), strict=True):
            found = files.get(_key(file or ""))
            if found is None:
                missing[len(image)] = "no such file"
            image.append(f"{prefix}/{found or file}")
            label.append(name_given)
            groups.append(group)
    if missing and (len(missing) == len(image) or config.on_error == "stop"):
        raise DataError(
            f"{len(missing)} of the {len(image)} pictures listed in {path} are not there, for "
            f"example {image[min(missing)]}. Fetch them (the birds are CUB-200-2011 and come "
            "apart), or leave them out with --on-error skip."
        )
    records = Records(
        card=Card(
            name=name or name_of_folder(path), source=SOURCE, license=LICENSE, citation=CITATION
        ),
        root=path,
        image=image,
        label=label,
        columns={
            "taxonGroup": groups,
            "license": [LICENSES[group] for group in groups],
            "genus": _genera(label),
        },
        notes={"list": subset},
        unusable=missing,
    )
    return to_dataset(records, config)


def is_vlm4bio(path: Path) -> bool:
    """Whether the folder at `path` is laid out like VLM4Bio."""
    return path.is_dir() and any(_lists(folder) for folder in _find_groups(path).values())


def _find_groups(path: Path) -> dict[str, Path]:
    for base in (path, path / "datasets"):
        if found := {group: base / group for group in GROUPS if (base / group).is_dir()}:
            return found
    return {}


def _group_folders(path: Path) -> Mapping[str, Path]:
    if found := _find_groups(path):
        return found
    raise DataNotFoundError(
        f"{path} has none of the folders {', '.join(GROUPS)}, nor datasets/ with them. Give the "
        "folder that VLM4Bio was cloned into: --data vlm4bio:FOLDER."
    )


def _lists(group: Path) -> dict[str, Path]:
    """Name of a list to its file."""
    files = (group / "metadata").glob("metadata_*.csv")
    return {match[1]: file for file in sorted(files) if (match := _LIST.fullmatch(file.name))}


def _rows(table: Path) -> tuple[Column, Column]:
    columns, _ = read_columns(table)
    if not set(COLUMNS) <= columns.keys():
        raise DataError(
            f"{table} has the columns {', '.join(columns)}; a list of VLM4Bio has "
            f"{', '.join(COLUMNS)}. Fetch it anew, or read it as a table: --data {table}."
        )
    files, labels = (columns[column] for column in COLUMNS)
    return files, labels


def _key(name: str) -> str:
    stem, ending = os.path.splitext(os.path.basename(name.strip()))
    return stem + ending.lower()


def _files_by_name(folder: Path) -> Mapping[str, str]:
    """File name, its ending in small letters, to the first such file below `folder`."""
    found = defaultdict(list)
    for place in pictures_below(folder):
        found[_key(place)].append(place)
    return {name: min(places) for name, places in found.items()}


def _genera(labels: Sequence[str | None]) -> list[str | None]:
    """The genus where the label is one word that is no family's name."""
    taxa, _ = clean_labels(labels)
    return [
        taxon.species
        if taxon and is_genus_word(taxon.species) and not family_of(taxon.species)
        else None
        for taxon in taxa
    ]
