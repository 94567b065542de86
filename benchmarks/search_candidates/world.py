"""A synthetic collection for search: vectors like embeddings, records like a museum's.

    world = World(n=1_000_000, dim=512)
    for start, vectors in world.blocks(): ...       unit vectors, 10,000 rows at a time
    world.conditions()                              a tenth, a family, a species: which rows fit

Species are drawn with Zipf-like sizes and lie in genera, these in families:

    genus = .8 family + .8 noise, species = .8 genus + .6 noise,
    record = species + .5 noise of 24 directions + .6 noise, each noise of length 1

Queries are further records of the same species, so that most have near neighbours. Everything is
drawn from the seed block by block; nothing holds more than a block of vectors, but the true answers
of a condition are found in one pass over all of them.

Legend: n records, d dimensions, q queries, k answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 10_000
"""Rows that are made at a time: 20 MB at 512 dimensions."""
K = 10
"""Answers a query: recall is recall@10."""
INSTITUTIONS = ("AMNH", "BMNH", "CAS", "FMNH", "MCZ", "MNHN", "NHMD", "NHMW", "RBINS", "USNM")
"""A record's institution is one of these at random: a tenth of all, whatever its vector is."""
COUNTRIES = ("AU", "BR", "CD", "DK", "FR", "GB", "ID", "JP", "US", "ZA")


@dataclass(frozen=True)
class Condition:
    """A filter.

    Attributes:
        name: As the tables call it.
        column: `institution`, `family` or `species`; "" for no filter.
        value: The number that it must have.
    """

    name: str
    column: str = ""
    value: int = 0


@dataclass(frozen=True)
class World:
    """n records and how they are drawn.

    Attributes:
        n: Records.
        dim: d.
        seed: Of everything.
    """

    n: int
    dim: int = 512
    seed: int = 0

    def _random(self, *what: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *what])

    @cached_property
    def n_species(self) -> int:
        """Species: one for 50 records."""
        return max(50, self.n // 50)

    @cached_property
    def genus_of(self) -> np.ndarray:
        """Genus of each species: five species in each on average."""
        n_genera = max(10, self.n_species // 5)
        return np.sort(self._random(1).integers(0, n_genera, self.n_species))

    @cached_property
    def family_of(self) -> np.ndarray:
        """Family of each species: a hundred families, genera dealt to them at random."""
        n_genera = int(self.genus_of.max()) + 1
        n_families = max(2, min(100, n_genera // 2))
        return self._random(2).integers(0, n_families, n_genera)[self.genus_of]

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of the records that each species has, like 1 / rank^0.8."""
        sizes = np.arange(1, self.n_species + 1) ** -0.8
        return self._random(3).permutation(sizes / sizes.sum())

    @cached_property
    def centres(self) -> np.ndarray:
        """Of species, (species, d)."""
        random = self._random(4)
        families = _noise(random, int(self.family_of.max()) + 1, self.dim)
        family_of_genus = np.zeros(int(self.genus_of.max()) + 1, int)
        family_of_genus[self.genus_of] = self.family_of
        genera = _unit(
            0.8 * families[family_of_genus] + 0.8 * _noise(random, len(family_of_genus), self.dim)
        )
        return _unit(0.8 * genera[self.genus_of] + 0.6 * _noise(random, self.n_species, self.dim))

    @cached_property
    def _directions(self) -> np.ndarray:
        return _noise(self._random(5), 24, self.dim)

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Numbers of all records: `species`, `genus`, `family`, `institution`."""
        random = self._random(6)
        species = random.choice(self.n_species, self.n, p=self.shares).astype(np.int32)
        return {
            "species": species,
            "genus": self.genus_of[species].astype(np.int32),
            "family": self.family_of[species].astype(np.int32),
            "institution": random.integers(0, len(INSTITUTIONS), self.n).astype(np.int32),
        }

    def _vectors(self, random: np.random.Generator, species: np.ndarray) -> np.ndarray:
        low = _unit(random.standard_normal((len(species), 24)).astype(np.float32))
        return _unit(
            self.centres[species]
            + 0.5 * _unit(low @ self._directions)
            + 0.6 * _noise(random, len(species), self.dim)
        )

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Vectors of rows within one block."""
        block = start // BLOCK
        assert stop <= (block + 1) * BLOCK, "rows of one block at a time"
        first = block * BLOCK
        whole = self.columns["species"][first : first + BLOCK]
        return self._vectors(self._random(7, block), whole)[start - first : stop - first]

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """First row and vectors of each block."""
        for start in range(0, self.n, BLOCK):
            yield start, self.rows(start, min(start + BLOCK, self.n))

    def further(self, number: int, n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Vectors and columns of records that are not of the n: for queries and for writes."""
        random = self._random(8, number)
        species = random.choice(self.n_species, n, p=self.shares).astype(np.int32)
        columns = {
            "species": species,
            "genus": self.genus_of[species].astype(np.int32),
            "family": self.family_of[species].astype(np.int32),
            "institution": random.integers(0, len(INSTITUTIONS), n).astype(np.int32),
        }
        return self._vectors(random, species), columns

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """None, a random tenth, the family nearest to 1 %, the species nearest to 0.1 %."""
        found = [Condition("no filter"), Condition("random 10 %", "institution", 3)]
        for name, share in (("family", 0.01), ("species", 0.001)):
            counts = np.bincount(self.columns[name]) / self.n
            with np.errstate(divide="ignore"):
                value = int(np.abs(np.log(counts / share)).argmin())
            found.append(Condition(f"one {name}, {counts[value]:.2%}", name, value))
        return tuple(found)

    def mask(self, condition: Condition) -> np.ndarray:
        """Which records fit."""
        if not condition.column:
            return np.ones(self.n, bool)
        return self.columns[condition.column] == condition.value

    def queries(self, n: int, seed: int = 0) -> np.ndarray:
        """Unit vectors that ask; none of the family that `conditions` names."""
        vectors, columns = self.further(10_000_000 + seed, 2 * n)
        family = self.conditions[2].value
        return vectors[columns["family"] != family][:n]


def _unit(vectors: np.ndarray) -> np.ndarray:
    found = vectors.astype(np.float32, copy=False)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def _noise(random: np.random.Generator, n: int, dim: int) -> np.ndarray:
    return _unit(random.standard_normal((n, dim), dtype=np.float32))


def write_vectors(world: World, path: Path) -> None:
    """All vectors in half precision, once, for all engines."""
    with path.open("wb") as handle:
        for _, vectors in world.blocks():
            handle.write(vectors.astype(np.float16).tobytes())


class Truth:
    """The k most similar records of each query under each of some conditions, block by block.

    Args:
        queries: Unit vectors.
        n_conditions: How many conditions there are.
        own: Row of each query, which is no answer to it; None where queries are no records.
    """

    def __init__(
        self, queries: np.ndarray, n_conditions: int, own: np.ndarray | None = None
    ) -> None:
        self.queries, self._own = queries, own
        none = np.full((len(queries), 0), -1)
        self.found = [(none.astype(np.float32), none) for _ in range(n_conditions)]

    def add(self, start: int, vectors: np.ndarray, masks: Sequence[np.ndarray]) -> None:
        """Compare a block that begins with row `start`.

        Args:
            start: Its first row.
            vectors: The block.
            masks: Of each condition which rows of the block fit, for all queries or for each.
        """
        cosine = self.queries @ vectors.T
        if self._own is not None:
            here = np.flatnonzero((self._own >= start) & (self._own < start + len(vectors)))
            cosine[here, self._own[here] - start] = -np.inf
        for place, mask in enumerate(masks):
            if mask.ndim == 1:
                rows = np.flatnonzero(mask)
                new = cosine[:, rows]
            else:
                rows, new = np.arange(len(vectors)), np.where(mask, cosine, -np.inf)
            best = np.concatenate([self.found[place][0], new], 1)
            numbers = np.where(np.isneginf(new), -1, rows + start)
            numbers = np.concatenate([self.found[place][1], numbers], 1)
            if best.shape[1] > K:
                kept = np.argpartition(-best, K - 1, axis=1)[:, :K]
                best = np.take_along_axis(best, kept, 1)
                numbers = np.take_along_axis(numbers, kept, 1)
            self.found[place] = best, numbers

    @property
    def rows(self) -> list[np.ndarray]:
        """Rows of each condition, (q, at most k), in no order; -1 where fewer fit."""
        return [numbers for _, numbers in self.found]


def rounded(vectors: np.ndarray) -> np.ndarray:
    """As they are kept, in half precision."""
    return vectors.astype(np.float16).astype(np.float32)


def truths(world: World, queries: np.ndarray) -> list[np.ndarray]:
    """The exact answers of further records under each of the world's conditions; see `Truth`."""
    masks = [world.mask(condition) for condition in world.conditions]
    truth = Truth(queries, len(masks))
    for start, vectors in world.blocks():
        here = [mask[start : start + len(vectors)] for mask in masks]
        truth.add(start, rounded(vectors), here)
    return truth.rows


def recall(found: Sequence[Sequence[int]], truth: np.ndarray) -> float:
    """Share of the true answers that were found."""
    hit = sum(
        len(set(one) & set(true.tolist()) - {-1}) for one, true in zip(found, truth, strict=True)
    )
    n = int((truth >= 0).sum())
    return hit / n if n else 1.0


def name_of(column: str, number: int) -> str:
    """The text that a record has for a number of a column."""
    if column == "institution":
        return INSTITUTIONS[number]
    if column == "family":
        return f"Family{number:04d}idae"
    genus = f"Genus{number:06d}"
    return genus if column == "genus" else f"Species{number:06d} epithet{number % 97}"


def details(
    columns: dict[str, np.ndarray], start: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitude, longitude and day of records, the first of them number `start`.

    A species has a region. A record in ten has no place (NaN), one in twelve no day (NaT).
    """
    n, species = len(columns["species"]), columns["species"]
    random = np.random.default_rng([seed, 9, start])
    latitude = np.clip((species * 37 % 120) - 50 + random.normal(0, 4, n), -89, 89)
    longitude = (species * 71 % 360 - 180 + random.normal(0, 6, n) + 180) % 360 - 180
    latitude[random.random(n) < 0.1] = np.nan
    longitude[np.isnan(latitude)] = np.nan
    days = np.datetime64("1850-01-01") + random.integers(0, 62_000, n)
    days[random.random(n) < 1 / 12] = np.datetime64("NaT")
    return latitude, longitude, days


def records(columns: dict[str, np.ndarray], start: int, seed: int = 0) -> Any:
    """Rows of `RECORD`, Darwin Core as a museum has it; the first is number `start`."""
    import pyarrow as pa

    from syntype.search.records import conform_records

    n = len(columns["species"])
    species, family = columns["species"], columns["family"]
    latitude, longitude, days = details(columns, start, seed)
    placed, dated = ~np.isnan(latitude), ~np.isnat(days)
    dates = np.where(dated, np.datetime_as_string(days), "")

    def texts(column: str) -> Any:
        numbers, which = np.unique(columns[column], return_inverse=True)
        return pa.array([name_of(column, int(number)) for number in numbers]).take(pa.array(which))

    has = [
        " ".join(["image"] + ["place"] * bool(place) + ["date"] * bool(date))
        for place, date in zip(placed, dated, strict=True)
    ]
    return conform_records(
        pa.table(
            {
                "id": [id_of(row) for row in range(start, start + n)],
                "datasetName": ["made"] * n,
                "kingdom": ["Animalia"] * n,
                "phylum": ["Arthropoda"] * n,
                "class": ["Insecta"] * n,
                "order": [f"Order{number % 12:02d}ptera" for number in family.tolist()],
                "family": texts("family"),
                "genus": texts("genus"),
                "species": texts("species"),
                "scientificName": texts("species"),
                "institutionCode": texts("institution"),
                "collectionCode": ["Entomology"] * n,
                "catalogNumber": [f"{row:09d}" for row in range(start, start + n)],
                "countryCode": pa.array(COUNTRIES).take(pa.array(species % len(COUNTRIES))),
                "basisOfRecord": ["PreservedSpecimen"] * n,
                "recordedBy": [f"Collector {number}" for number in (species % 5000).tolist()],
                "eventDate": dates.tolist(),
                "decimalLatitude": pa.array(latitude, mask=~placed),
                "decimalLongitude": pa.array(longitude, mask=~placed),
                "license": ["CC-BY-4.0"] * n,
                "mediaType": ["StillImage"] * n,
                "accessURI": [
                    f"https://example.org/{row:09d}.jpg" for row in range(start, start + n)
                ],
                "has": has,
            }
        )
    )


def id_of(row: int) -> str:
    """The id of a record."""
    return f"made/{row:09d}"


def row_of(id_: str) -> int:
    """Its row."""
    return int(id_[5:])
