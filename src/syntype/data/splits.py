"""Splits that cut no unit, the same on every machine and in every order of rows.

A unit (a video track, a specimen, an observation) holds near copies: cut by a split, it leaks.
Units are therefore placed whole, species by species, in the order of a hash of their name and the
seed. What one species gets does not depend on the other species.

    3 units or more    the first three go to train, test and val, so that each split has the
                       species; every further one to the split that lacks most of its share
    2 units            train and test: the species can be trained and looked up
    1 unit             train: in test it would have no neighbour of its species in any other
                       unit, and could only be a miss

Where every species has one unit only, that would leave no test at all: the units are then spread
by hash as if they were one species. A split whose share is 0 gets nothing, and passes its turn to
the next. A unit with several species counts for the most frequent of them.

`unseen_split` keeps whole species from training as well, `complete_split` what is published.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from syntype.data.dataset import Dataset
from syntype.data.records import SPLITS
from syntype.provenance import named_seed

_TURNS = ("train", "test", "val")
_FEWEST_SPECIES = 3  # of a taxon group, to keep some of them from training


def make_split(
    units: Sequence[str], labels: Sequence[str], fractions: Sequence[float], seed: int
) -> np.ndarray:
    """Split rows into train, val and test without cutting a unit.

    Args:
        units: The independent unit of each row.
        labels: The species of each row.
        fractions: Shares of train, val and test in the rows; they sum to 1.
        seed: Seed of the order of units.

    Returns:
        For each row its split, an array of strings.
    """
    shares = dict(zip(SPLITS, fractions, strict=True))
    turns = [split for split in _TURNS if shares[split] > 0]
    sizes = Counter(units)
    species = _units_by_species(units, labels)
    if all(len(members) == 1 for members in species.values()):
        species = {"": list(sizes)}
    placed: dict[str, str] = {}
    key = named_seed(seed, "split").to_bytes(8, "big")
    for members in species.values():
        order = sorted(members, key=lambda unit: (keyed_hash(unit, key), unit))
        wanted = {split: shares[split] * sum(sizes[unit] for unit in members) for split in turns}
        for turn, unit in enumerate(order):
            # Among equals the earlier turn goes first: a dict keeps the order of turns.
            split = turns[turn] if turn < len(turns) else max(wanted, key=wanted.__getitem__)
            wanted[split] -= sizes[unit]
            placed[unit] = split
    return np.array([placed[unit] for unit in units], dtype=object)


def unseen_split(
    units: Sequence[str],
    labels: Sequence[str],
    genera: Sequence[tuple[str, str]],
    fractions: Sequence[float],
    seed: int,
) -> np.ndarray:
    """Split rows so that whole species are kept from training, beside the species of `make_split`.

    Of each taxon group, shares of the species as large as those of test and val are in these
    alone, spread over its genera; the other species are split by units, so that test has seen and
    unseen species. A unit with several species follows its unseen one, to test before val: what is
    unseen never trains.

    Args:
        units: The independent unit of each row.
        labels: The species of each row.
        genera: The taxon group and the genus of each row.
        fractions: Shares of train, val and test.
        seed: Seed of the choice of species and of the order of units.

    Returns:
        For each row its split, an array of strings.
    """
    held = _held_species(labels, genera, fractions, seed)
    split_of = dict(zip(units, make_split(units, labels, fractions, seed), strict=True))
    for split in ("val", "test"):
        split_of |= {
            unit: split
            for unit, label in zip(units, labels, strict=True)
            if held.get(label) == split
        }
    return np.array([split_of[unit] for unit in units], dtype=object)


def _held_species(
    labels: Sequence[str],
    genera: Sequence[tuple[str, str]],
    fractions: Sequence[float],
    seed: int,
) -> dict[str, str]:
    """The species that never train, to the split that has them: test or val."""
    shares = dict(zip(SPLITS, fractions, strict=True))
    key = named_seed(seed, "unseen species").to_bytes(8, "big")
    # Sorted backwards, the first of several genera of a species is what stays.
    genus_of = dict(sorted(set(zip(labels, genera, strict=True)), reverse=True))
    of_group: dict[str, list[tuple[bytes, str, bytes, str]]] = defaultdict(list)
    for name, (group, genus) in genus_of.items():
        place = (keyed_hash(genus, key), genus, keyed_hash(name, key), name)
        of_group[group].append(place)
    held: dict[str, str] = {}
    for places in of_group.values():
        if len(places) < _FEWEST_SPECIES:
            continue
        # Genus after genus: species taken at even distances are spread over the genera.
        order = [name for *_, name in sorted(places)]
        # Where anything is to train, one species at least is seen.
        n_free = len(order) - (shares["train"] > 0)
        for split in ("test", "val"):
            n = min(math.ceil(shares[split] * len(places) - 1e-9), n_free)
            taken = {order[int((turn + 0.5) * len(order) / n)] for turn in range(n)}
            held |= dict.fromkeys(taken, split)
            order = [name for name in order if name not in taken]
            n_free -= n
    return held


def keyed_hash(unit: str, key: bytes) -> bytes:
    """Eight bytes that put `unit` at a random place, the same on every machine."""
    return hashlib.blake2b(unit.encode(), key=key, digest_size=8).digest()


def _units_by_species(units: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Species to the units in which it is the most frequent one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for unit, label in zip(units, labels, strict=True):
        counts[unit][label] += 1
    species: dict[str, list[str]] = defaultdict(list)
    for unit, found in counts.items():
        species[min(found, key=lambda label: (-found[label], label))].append(unit)
    return species


def complete_split(
    units: Sequence[str],
    labels: Sequence[str],
    given: Sequence[str],
    fractions: Sequence[float],
    seed: int,
) -> np.ndarray:
    """A split that keeps what is given and makes the rest.

    Rows without a split follow their unit if that has one, else are split by `fractions`. Of the
    splits that the data lack altogether, those with a share are taken out of train, units whole:
    so a set with train and test only gets its val from train, and test stays as published. Data
    without any train stay as they are: they are there to be tested on.

    Args:
        units: The independent unit of each row.
        labels: The species of each row.
        given: train, val, test, or "" for each row.
        fractions: Shares of train, val and test.
        seed: Seed of what is made.

    Returns:
        For each row its split, an array of strings.
    """
    of_unit = {unit: split for unit, split in sorted(zip(units, given, strict=True)) if split}
    split = np.array(
        [own or of_unit.get(unit, "") for unit, own in zip(units, given, strict=True)],
        dtype=object,
    )
    lacking = [name for name in ("val", "test") if not (split == name).any()]
    shares = dict(zip(SPLITS, fractions, strict=True))
    taken = sum(shares[name] for name in lacking)
    if 0 < taken < 1 and shares["train"] > 0 and (split == "train").any():
        kept = {"train": shares["train"]} | {name: shares[name] for name in lacking}
        inner = [kept.get(name, 0.0) / sum(kept.values()) for name in SPLITS]
        _fill(split, split == "train", units, labels, inner, seed)
    _fill(split, split == "", units, labels, fractions, seed)
    return split


def _fill(
    split: np.ndarray,
    rows: np.ndarray,
    units: Sequence[str],
    labels: Sequence[str],
    fractions: Sequence[float],
    seed: int,
) -> None:
    """Split the chosen `rows` anew, in place."""
    chosen = np.flatnonzero(rows).tolist()
    split[chosen] = make_split(
        [units[row] for row in chosen], [labels[row] for row in chosen], fractions, seed
    )


def units_cut(dataset: Dataset) -> list[str]:
    """The units that stand in more than one split, sorted."""
    splits: dict[str, set[str]] = defaultdict(set)
    for unit, split in zip(dataset.column("unit"), dataset.column("split"), strict=True):
        splits[unit].add(split)
    return sorted(unit for unit, found in splits.items() if len(found) > 1)


def singletons(dataset: Dataset) -> dict[str, int]:
    """Taxon group to its number of species with one unit: no neighbour can be asked of them."""
    rows = zip(*(dataset.column(name) for name in ("taxonGroup", "species", "unit")), strict=True)
    units = Counter((group, species) for group, species, _ in set(rows))
    groups = sorted({group for group, _ in units})
    return {group: sum(units[key] == 1 for key in units if key[0] == group) for group in groups}
