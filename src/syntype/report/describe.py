"""The data in numbers, for the data table: per taxon group and split, after cleaning."""

from collections import Counter
from pathlib import PurePath
from typing import Any

import numpy as np

from syntype.data.dataset import Dataset
from syntype.provenance import plain


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """What the report says about `dataset`: plain JSON, no folders of this machine.

    Returns:
        `name`, `revision`, `images`, `species`, `cards`, `notes` as the reader left them, and
        `groups`: group to split to `images`, `species`, `units` and `singletons` (pictures that
        are the only one of their species in their split).
    """
    group, split = dataset.column("taxonGroup"), dataset.column("split")
    species, unit = dataset.column("species"), dataset.column("unit")
    groups: dict[str, dict[str, dict[str, int]]] = {}
    for one_group in sorted(set(group)):
        for one_split in sorted(set(split[group == one_group])):
            rows = (group == one_group) & (split == one_split)
            groups.setdefault(one_group, {})[one_split] = _counts(species[rows], unit[rows])
    return {
        "name": " + ".join(card.name for card in dataset.cards),
        "revision": dataset.revision,
        "images": len(dataset),
        "species": len(set(species) - {""}),
        "groups": groups,
        "cards": [
            {
                "name": card.name,
                "source": _public(card.source),
                "license": card.license,
                "citation": card.citation,
            }
            for card in dataset.cards
        ],
        "notes": plain(dataset.notes),
    }


def _counts(species: np.ndarray, unit: np.ndarray) -> dict[str, int]:
    of_species = Counter(name for name in species if name)
    return {
        "images": len(species),
        "species": len(of_species),
        "units": len(set(unit)),
        "singletons": sum(count == 1 for count in of_species.values()),
    }


def _public(source: str) -> str:
    """A page or DOI as it is; of a folder only its name."""
    path = PurePath(source)
    return path.name if path.is_absolute() else source
