"""Does one set hold pictures or species of another, for example training those of test?

Pictures are compared three ways, each of which finds what the one before cannot:

    exact    the same bytes
    near     perceptual hashes that differ in few bits: re-encoded, scaled, brightened copies
    cosine   vectors of an encoder that nearly agree: crops, other frames of a scene. Only where
             vectors are given, and only as good as their encoder

Species are compared by name. Nothing is removed here: the pairs are told, and what they mean.

n pictures of the first set, m of the second, d dimensions
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float, Int

from syntype import files
from syntype.configs import LeakageConfig
from syntype.data.dataset import Dataset
from syntype.data.perceptual import Hashes, near_pairs
from syntype.errors import VectorError
from syntype.evaluation.training_sets import Flag

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("otherId", pa.string()),
        ("kind", pa.string()),
        ("bits", pa.int32()),
        ("cosine", pa.float32()),
        ("sameSpecies", pa.bool_()),
    ]
)
_BLOCK_CELLS = 2**22  # cosines held at a time
_NAMED = 3  # pairs that a sentence names

Vectors = tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "m d"]]


@dataclass(frozen=True)
class Overlap:
    """Species that both sets have, in one taxon group of the second (or in all of it, "").

    Attributes:
        group: The taxon group.
        n_species: Species of the second set.
        n_shared: Those of them that the first set has, too.
        n_pictures: Pictures of the second set.
        n_of_shared: Those of them that are of shared species.
    """

    group: str
    n_species: int
    n_shared: int
    n_pictures: int
    n_of_shared: int


@dataclass(frozen=True)
class Audit:
    """What two sets have in common.

    Attributes:
        first: Name of the first set, as a rule what models learn from.
        second: Name of the second set, as a rule what they are tested on.
        n_first: Pictures of the first.
        n_second: Pictures of the second.
        pairs: A row per pair of pictures, in the columns of `SCHEMA`.
        overlaps: Species in common: all, then by taxon group.
        n_unhashed: Pictures of both that are too flat to compare by their looks.
        failures: Id and reason of pictures that cannot be read.
        compared: How: exact, near, cosine.
        known: What is written of the encoder's training set and these sets.
    """

    first: str
    second: str
    n_first: int
    n_second: int
    pairs: pa.Table
    overlaps: Sequence[Overlap]
    n_unhashed: int
    failures: Sequence[tuple[str, str]]
    compared: Sequence[str]
    known: Sequence[Flag] = ()

    def affected(self) -> list[str]:
        """Ids of the second set's pictures that have a pair, sorted."""
        return sorted(set(self.pairs["otherId"].to_pylist()))

    def as_json(self) -> dict[str, Any]:
        """All numbers, without the pairs, as plain JSON types."""
        kinds = self.pairs["kind"].to_pylist()
        return {
            "first": self.first,
            "second": self.second,
            "nFirst": self.n_first,
            "nSecond": self.n_second,
            "compared": list(self.compared),
            "pairs": {kind: kinds.count(kind) for kind in self.compared},
            "affected": len(self.affected()),
            "otherSpecies": self.pairs["sameSpecies"].to_pylist().count(False),
            "unhashed": self.n_unhashed,
            "failures": [list(one) for one in self.failures],
            "species": [asdict(one) for one in self.overlaps],
            "known": [asdict(one) for one in self.known],
        }

    def save(self, folder: Path) -> None:
        """Write leakage.json and pairs.parquet; equal audits give equal bytes.

        Raises:
            ResourceError: The disk is full or the folder may not be written.
        """
        with files.atomic_path(folder / "pairs.parquet") as path:
            pq.write_table(self.pairs, path, compression="zstd")
        files.write_json(folder / "leakage.json", self.as_json())

    def sentences(self) -> list[str]:
        """What was found and what it means, one thing at a time."""
        rows = self.pairs.to_pylist()
        affected = self.affected()
        if not rows:
            found = f"No picture of {self.second} was found in {self.first}"
            text = [f"{found} ({', '.join(self.compared)} compared)."]
        else:
            shown = "; ".join(f"{row['otherId']} = {row['id']}" for row in rows[:_NAMED])
            found = (
                f"{len(affected):,} of the {self.n_second:,} pictures of {self.second} have copies "
                f"or near copies in {self.first} (pairs: {len(rows):,}; the first: {shown}). Take "
                f"them out of {self.first} before training, or out of {self.second} before "
                "scoring; pairs.parquet lists them all."
            )
            text = [found]
        other = sum(row["sameSpecies"] is False for row in rows)
        if other:
            text.append(f"Pairs under two species: {other:,}; one label of each is wrong, look.")
        whole = self.overlaps[0]
        if whole.n_shared:
            text.append(
                f"{whole.n_shared:,} of the {whole.n_species:,} species of {self.second} are in "
                f"{self.first}, with {whole.n_of_shared:,} of its {whole.n_pictures:,} pictures: "
                "scores on them say nothing of unseen species."
            )
        else:
            text.append(f"{self.first} and {self.second} have no species in common.")
        if self.n_unhashed:
            text.append(f"{self.n_unhashed:,} pictures are too flat to be compared by their looks.")
        if self.failures:
            text.append(f"{len(self.failures):,} pictures cannot be read: {self.failures[0]} ...")
        return text + [one.sentence() for one in self.known]


def audit(
    first: Dataset,
    second: Dataset,
    hashes: tuple[Hashes, Hashes],
    config: LeakageConfig,
    *,
    names: tuple[str, str],
    vectors: Vectors | None = None,
    known: Sequence[Flag] = (),
) -> Audit:
    """Compare two sets; a picture is not compared with itself where they share an id.

    Args:
        first: What models learn from.
        second: What they are tested on.
        hashes: The perceptual hashes of both.
        config: Thresholds.
        names: What to call the two.
        vectors: Unit vectors of both by one encoder; None compares none.
        known: What is written of that encoder's training set, to be told with the rest.

    Memory beyond the inputs: blocks of 2^22 comparisons.

    Raises:
        VectorError: There are not as many vectors as pictures.
    """
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for one, other in zip(*_same_digest(first, second), strict=True):
        found[int(one), int(other)] = {"kind": "exact", "bits": 0}
    rows = [np.flatnonzero(side.usable) for side in hashes]
    near = near_pairs(hashes[0].bits[rows[0]], hashes[1].bits[rows[1]], config.bits)
    for one, other, bits in zip(*near, strict=True):
        pair = int(rows[0][one]), int(rows[1][other])
        found.setdefault(pair, {"kind": "near", "bits": int(bits)})
    compared = ["exact", "near"]
    if vectors is not None:
        compared.append("cosine")
        _check(vectors, first, second)
        for one, other, cosine in zip(*_cosine_pairs(vectors, config.cosine), strict=True):
            found.setdefault((int(one), int(other)), {"kind": "cosine"})["cosine"] = float(cosine)
    failures = [
        (side.ids[row], reason)
        for side, hashed in zip((first, second), hashes, strict=True)
        for row, reason in hashed.failures
    ]
    return Audit(
        first=names[0],
        second=names[1],
        n_first=len(first),
        n_second=len(second),
        pairs=_pairs(first, second, found),
        overlaps=_overlaps(first, second),
        n_unhashed=sum(int((~side.usable).sum()) - len(side.failures) for side in hashes),
        failures=sorted(set(failures)),
        compared=compared,
        known=tuple(known),
    )


def _same_digest(
    first: Dataset, second: Dataset
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"]]:
    """The pairs of rows whose pictures have the same bytes."""
    rows_of: dict[str, list[int]] = {}
    for row, digest in enumerate(first.column("imageDigest")):
        if digest:
            rows_of.setdefault(digest, []).append(row)
    pairs = [
        (one, other)
        for other, digest in enumerate(second.column("imageDigest"))
        for one in rows_of.get(digest, ())
    ]
    array = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return array[:, 0], array[:, 1]


def _cosine_pairs(
    vectors: Vectors, least: float
) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "p"], Float[np.ndarray, "p"]]:
    """The pairs of rows whose cosine is `least` or more, block by block."""
    first, second = vectors
    step = max(1, _BLOCK_CELLS // max(1, len(second)))
    ones, others, cosines = [], [], []
    for start in range(0, len(first), step):
        product = first[start : start + step] @ second.T
        one, other = np.nonzero(product >= least)
        ones.append(one + start)
        others.append(other)
        cosines.append(product[one, other])
    return np.concatenate(ones), np.concatenate(others), np.concatenate(cosines)


def _pairs(
    first: Dataset, second: Dataset, found: Mapping[tuple[int, int], Mapping[str, Any]]
) -> pa.Table:
    ids, other_ids = first.ids, second.ids
    species, other_species = first.column("species"), second.column("species")
    rows = [
        {
            "id": ids[one],
            "otherId": other_ids[other],
            "sameSpecies": species[one] == other_species[other]
            if species[one] and other_species[other]
            else None,
            **what,
        }
        for (one, other), what in found.items()
        if ids[one] != other_ids[other]
    ]
    rows.sort(key=lambda row: (row["otherId"], row["id"]))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _overlaps(first: Dataset, second: Dataset) -> list[Overlap]:
    known = set(first.column("species")) - {""}
    species, groups = second.column("species"), second.column("taxonGroup")
    shared = np.array([name in known for name in species], dtype=bool)
    found = []
    for group in ("", *sorted(set(groups))):
        inside = np.ones(len(second), dtype=bool) if group == "" else groups == group
        named = set(species[inside]) - {""}
        found.append(
            Overlap(
                group=group,
                n_species=len(named),
                n_shared=len(named & known),
                n_pictures=int(inside.sum()),
                n_of_shared=int((inside & shared).sum()),
            )
        )
    return found


def _check(vectors: Vectors, first: Dataset, second: Dataset) -> None:
    for side, dataset in zip(vectors, (first, second), strict=True):
        if len(side) != len(dataset):
            raise VectorError(
                f"There are {len(side)} vectors for {len(dataset)} pictures: embed both sets with "
                "one encoder, and compare the pictures that could be read."
            )
