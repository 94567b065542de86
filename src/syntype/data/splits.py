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
from jaxtyping import Bool, Int, Int8, UInt64

from syntype.data.dataset import Dataset
from syntype.data.numbering import row_hashes
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
    if not len(units):
        return np.empty(0, dtype=object)
    names, unit = np.unique(np.asarray(units, dtype=object), return_inverse=True)
    _, label = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
    places = row_hashes(names.tolist(), split_key(seed))
    placed = place_units(unit, places, label, fractions)
    return np.array(SPLITS, dtype=object)[placed[unit]]


def split_key(seed: int) -> bytes:
    """The key under which units are hashed into their order."""
    return named_seed(seed, "split").to_bytes(8, "big")


def place_units(
    unit: Int[np.ndarray, "n"],
    places: UInt64[np.ndarray, "u"],
    label: Int[np.ndarray, "n"],
    fractions: Sequence[float],
) -> Int8[np.ndarray, "u"]:
    """The split of each unit: its place in `records.SPLITS`.

    Args:
        unit: The unit of each row, as a number from 0 to u - 1.
        places: The hash of each unit, which orders the units of a species; of equals the one with
            the smaller number goes first.
        label: The species of each row, as a number; of equally frequent ones the smallest counts.
        fractions: Shares of train, val and test in the rows; they sum to 1.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    turns = [SPLITS.index(name) for name in _TURNS if shares[SPLITS.index(name)] > 0]
    sizes = np.bincount(unit, minlength=len(places))
    species = _most_frequent(unit, label)
    if len(np.unique(species)) == len(species):
        species = np.zeros_like(species)
    order = np.lexsort((places, species))
    starts = np.flatnonzero(np.diff(species[order], prepend=-1))
    placed = np.empty(len(places), np.int8)
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        members = order[start:stop]
        of_members = sizes[members].tolist()
        total = sum(of_members)
        wanted = [float(shares[split]) * total for split in turns]
        for turn, (member, size) in enumerate(zip(members.tolist(), of_members, strict=True)):
            # Among equals the earlier turn goes first.
            chosen = turn if turn < len(turns) else wanted.index(max(wanted))
            wanted[chosen] -= size
            placed[member] = turns[chosen]
    return placed


def _most_frequent(unit: Int[np.ndarray, "n"], label: Int[np.ndarray, "n"]) -> Int[np.ndarray, "u"]:
    """The species that each unit has most often."""
    n_labels = int(label.max()) + 1
    pairs, counts = np.unique(unit.astype(np.int64) * n_labels + label, return_counts=True)
    owner, species = np.divmod(pairs, n_labels)
    best = np.lexsort((species, -counts, owner))
    first = np.flatnonzero(np.diff(owner[best], prepend=-1))
    found: np.ndarray = species[best[first]]
    return found


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
    held = held_species(labels, genera, fractions, seed)
    placed = make_split(units, labels, fractions, seed)
    split_of = dict(zip(units, placed, strict=True))
    for split in ("val", "test"):
        split_of |= {
            unit: split
            for unit, label in zip(units, labels, strict=True)
            if held.get(label) == split
        }
    return np.array([split_of[unit] for unit in units], dtype=object)


def held_species(
    labels: Sequence[str],
    genera: Sequence[tuple[str, str]],
    fractions: Sequence[float],
    seed: int,
) -> dict[str, str]:
    """The species that never train, to the split that has them: test or val.

    Args:
        labels: Species, in any order, each once or more often.
        genera: The taxon group and the genus of each.
        fractions: Shares of train, val and test.
        seed: Seed of the choice.
    """
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
    if not len(units):
        return np.empty(0, dtype=object)
    names, unit = np.unique(np.asarray(units, dtype=object), return_inverse=True)
    _, label = np.unique(np.asarray(labels, dtype=object), return_inverse=True)
    known = np.array([SPLITS.index(name) if name else -1 for name in given], dtype=np.int8)
    places = row_hashes(names.tolist(), split_key(seed))
    found: np.ndarray = np.array(SPLITS, dtype=object)[
        complete(unit, places, label, known, fractions)
    ]
    return found


def complete(
    unit: Int[np.ndarray, "n"],
    places: UInt64[np.ndarray, "u"],
    label: Int[np.ndarray, "n"],
    given: Int8[np.ndarray, "n"],
    fractions: Sequence[float],
) -> Int8[np.ndarray, "n"]:
    """`complete_split` on numbers.

    Args:
        unit: The unit of each row, as a number from 0 to u - 1.
        places: The hash of each unit.
        label: The species of each row, as a number.
        given: The split of each row, as its place in `records.SPLITS`; -1 for none.
        fractions: Shares of train, val and test.
    """
    # A unit that is given several splits counts for the last of them in the alphabet.
    rank = np.array([sorted(SPLITS).index(name) for name in SPLITS])
    of_unit = np.full(len(places), -1)
    np.maximum.at(of_unit, unit, np.where(given >= 0, rank[given], -1))
    split_of = np.append(np.argsort(rank), -1)
    split = np.where(given >= 0, given, split_of[of_unit[unit]]).astype(np.int8)
    train, val, test = (SPLITS.index(name) for name in ("train", "val", "test"))
    lacking = [part for part in (val, test) if not (split == part).any()]
    taken = sum(fractions[part] for part in lacking)
    if 0 < taken < 1 and fractions[train] > 0 and (split == train).any():
        kept = [fractions[part] if part in {train, *lacking} else 0.0 for part in range(3)]
        inner = [share / sum(kept) for share in kept]
        _fill(split, split == train, unit, places, label, inner)
    _fill(split, split < 0, unit, places, label, fractions)
    return split


def _fill(
    split: Int8[np.ndarray, "n"],
    rows: Bool[np.ndarray, "n"],
    unit: Int[np.ndarray, "n"],
    places: UInt64[np.ndarray, "u"],
    label: Int[np.ndarray, "n"],
    fractions: Sequence[float],
) -> None:
    """Split the chosen `rows` anew, in place."""
    if not rows.any():
        return
    units, inner = np.unique(unit[rows], return_inverse=True)
    split[rows] = place_units(inner, places[units], label[rows], fractions)[inner]


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
