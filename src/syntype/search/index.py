"""The index: records with vectors that are searched by similarity, under conditions.

Few methods, the same for every engine: `exact` (every vector is compared; the reference), `cells`
(the embedded default) and `postgres` (a server, for what outgrows one machine). A contract test
runs over all of them.

Legend: n records that are alive, q queries, d dimensions.

A write is acknowledged when the method returns; whatever kills the process after that, it is not
lost, and what was being written is there whole or not at all. Similarity is the cosine of unit
vectors kept in half precision; records of equal similarity are in the order of their ids.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from syntype.errors import UsageError
from syntype.search.records import FACETS
from syntype.search.where import EVERYTHING, Where

MOST_FACETS = 100
"""Values of a facet that are counted out, the most frequent first, unless more are asked for."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What an index says of itself.

    Attributes:
        engine: Which one: `exact`, `cells`, `postgres`.
        dim: d.
        encoder: Identity of what made the vectors (`StoreKey.encoder`), plain JSON types.
        spec: The spec, or the folder of a space, that loads it, so that queries can be encoded.
        cards: Source, licence and citation of each set in it, by name.
        roots: `datasetName` to the folder that its media lie in.
        notes: What else is to be kept with it, plain JSON types.
    """

    engine: str
    dim: int
    encoder: Mapping[str, Any]
    spec: str = ""
    cards: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    roots: Mapping[str, Path] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class Hit(NamedTuple):
    """A record that was found.

    Attributes:
        id: The record.
        similarity: Cosine to the query.
    """

    id: str
    similarity: float


class Cell(NamedTuple):
    """A piece of the map with records in it.

    Attributes:
        latitude: Mean of the records in it, in degrees.
        longitude: Likewise.
        n: Records.
    """

    latitude: float
    longitude: float
    n: int


def described(card: Card, spec: str | None, changes: Mapping[str, Any]) -> Card:
    """A card with another spec (None: the same) and other `cards`, `roots` or `notes`.

    Raises:
        UsageError: Something else is to be changed.
    """
    for name in changes:
        if name not in ("cards", "roots", "notes"):
            raise UsageError(
                f"The {name} of an index cannot be changed: its vectors hang on it. Make a new one."
            )
    return replace(card, spec=card.spec if spec is None else spec, **changes)


def check_facets(columns: Sequence[str]) -> None:
    """Refuse columns that are not counted by their values.

    Raises:
        UsageError: One is not of `FACETS`.
    """
    for column in columns:
        if column not in FACETS:
            known = ", ".join(FACETS)
            raise UsageError(f"{column!r} is no facet. Records are counted by {known}.")


class Index(ABC):
    """Records with vectors, searched by similarity."""

    @property
    @abstractmethod
    def card(self) -> Card:
        """What it says of itself."""

    @abstractmethod
    def __len__(self) -> int:
        """n, records that are alive."""

    @property
    @abstractmethod
    def state(self) -> str:
        """A text that changes with every write that this process knows of."""

    @abstractmethod
    def describe(self, *, spec: str | None = None, **changes: Any) -> None:
        """Change `spec`, `cards`, `roots` or `notes` of the card, for good.

        Raises:
            UsageError: Something else is to be changed.
        """

    @abstractmethod
    def upsert(self, records: pa.Table, vectors: Float32[np.ndarray, "m d"]) -> None:
        """Add records, or replace those of the same id; acknowledged when it returns.

        Args:
            records: Rows of `RECORD`, ids unique.
            vectors: Their unit vectors, in their order.

        Raises:
            VectorError: A vector is broken, or of another length than the index's.
            DataError: An id is empty or appears twice.
            ResourceError: The disk is full; what was acknowledged before is kept.
        """

    @abstractmethod
    def delete(self, ids: Sequence[str]) -> int:
        """Remove records; how many of them were there."""

    @abstractmethod
    def search(
        self,
        queries: Float32[np.ndarray, "q d"],
        n: int,
        where: Where = EVERYTHING,
        *,
        far: bool = False,
    ) -> list[list[Hit]]:
        """The records most similar to each query, of those that fit, the best first.

        Args:
            queries: Unit vectors.
            n: How many at most.
            where: Conditions.
            far: Whether they lie far from every record (`Question.far`), so that more of them must
                be looked at. A hint: exact answers are the same.
        """

    @abstractmethod
    def browse(self, n: int, where: Where = EVERYTHING, after: str = "") -> list[str]:
        """Ids of records that fit, in the order of ids, those behind the id `after`."""

    @abstractmethod
    def records(self, ids: Sequence[str]) -> list[dict[str, Any] | None]:
        """The records of ids, in their order; None where there is none."""

    @abstractmethod
    def vectors(self, ids: Sequence[str]) -> Float32[np.ndarray, "m d"]:
        """The vectors of records.

        Raises:
            DataError: There is no such record.
        """

    @abstractmethod
    def count(self, where: Where = EVERYTHING) -> int:
        """How many records fit."""

    def facet(
        self, column: str, where: Where = EVERYTHING, most: int = MOST_FACETS
    ) -> list[tuple[str, int]]:
        """Values of a column of `FACETS` among the records that fit; see `facets`."""
        return self.facets([column], where, most)[column]

    @abstractmethod
    def facets(
        self, columns: Sequence[str], where: Where = EVERYTHING, most: int = MOST_FACETS
    ) -> dict[str, list[tuple[str, int]]]:
        """Of each column the values among the records that fit, and how many have each.

        The most frequent first, equal ones by name; "" counts those that do not say.

        Args:
            columns: Of `FACETS`, each once.
            where: Conditions.
            most: Values of a column at most.

        Raises:
            UsageError: There is no such facet.
        """

    @abstractmethod
    def years(self, where: Where = EVERYTHING) -> list[tuple[int, int]]:
        """Years, and how many of the records that fit begin in each; undated ones do not count."""

    @abstractmethod
    def places(self, degrees: float, where: Where = EVERYTHING) -> list[Cell]:
        """Records that fit, gathered in cells of so many degrees.

        Cells begin at latitude -90 and longitude -180. Records without a place do not count.
        """

    @abstractmethod
    def suggest(self, text: str, n: int) -> list[tuple[str, str, int]]:
        """Names that have a word beginning with a text: column, name, and how many records.

        Ranks and vernacularName are looked through. Upper and lower case are the same; the most
        frequent come first.
        """

    @abstractmethod
    def build(self) -> None:
        """Arrange what has come so that searches are quick; they go on meanwhile."""

    @abstractmethod
    def refresh(self) -> bool:
        """Take in what other processes wrote; whether there was anything."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
