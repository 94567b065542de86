"""Retrieval across modalities: does a sound find its picture, and pictures of its species?

A row of a table is an observation; each modality has vectors for some of the rows. Queries are the
rows of one modality, the gallery is another one (or the same). Levels of relevance:

- `instance`: what belongs to the query's own observation;
- `species`, `genus`, `family`: what has the query's name at that rank, from other units.

Protocol, and where it differs from scripts in use:

- **Contents, not rows, are searched.** Rows of equal vectors and names are one item of the gallery:
  the name of a species is one text, however many observations bear it. For `instance`, an item is
  right if any observation joins it to what the query is, so a text that a hundred pictures share
  finds any of them. The gallery's size is the number of contents, and is told.
- **Own unit.** As everywhere here, items that come from the query's unit only are left out; at
  `instance` the right ones stay. In a gallery of texts nothing is left out: a name is of no unit.
- **The same modality on both sides** leaves out the query's own content, and has no `instance`.
- **Ties by expectation.** Items of equal similarity are in random order, and every number is its
  mean over these orders in closed form: the hit from the hypergeometric distribution, average
  precision by McSherry and Najork ("Computing Information Retrieval Performance Measures
  Efficiently in the Presence of Tied Scores", ECIR 2008). So no order of rows can win.
- **Rank at most k** counts for Recall@k (GeoCLAP's and PSM's scripts take rank < k, so k - 1).
- **Unknown names** are left out of the gallery of their rank, and such queries are not scored. A
  query with nothing to find is NaN and counted apart.

    n queries, m rows of a gallery, c contents of it, d dimensions, r pairs of a query and an item
    that is right, b queries in a block
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from syntype.errors import UsageError
from syntype.evaluation.items import Items, check_sides, codes

Level = Literal["instance", "species", "genus", "family", "order", "class", "phylum", "kingdom"]
LEVELS: tuple[Level, ...] = ("instance", "species", "genus", "family")
"""The levels of relevance that are scored as a rule."""
_BLOCK_CELLS = 2**22  # similarities held at a time


@dataclass(frozen=True)
class Retrieval:
    """The scores of one pair of modalities.

    Attributes:
        query: The modality of the queries.
        gallery: The modality that is searched.
        table: A row per query, in the order of ids: `id`, `unit`, and for each level LEVELRelevant
            and LEVELAvailable (items that are right, items searched), LEVELHit@K, LEVELRank (of
            the first that is right, from 1) and LEVELAveragePrecision. NaN where not scored.
        n_gallery: Contents searched at each level.
        n_gallery_rows: Rows that they stand for.
        unknown: Queries without a name, at each level.
    """

    query: str
    gallery: str
    table: pa.Table
    n_gallery: Mapping[str, int]
    n_gallery_rows: int
    unknown: Mapping[str, int]

    @property
    def levels(self) -> list[str]:
        """The levels that were scored."""
        return list(self.n_gallery)

    def values(self, column: str) -> Float[np.ndarray, "n"]:
        """One column of numbers."""
        return self.table.column(column).to_numpy().astype(np.float64)


def retrieve_across(
    query: Items,
    gallery: Items,
    *,
    names: tuple[str, str],
    levels: Sequence[Level] = LEVELS,
    recall_at: Sequence[int] = (1, 5, 10),
    of_classes: bool = False,
) -> Retrieval:
    """Search the vectors of one modality with those of another.

    Args:
        query: The rows that have the first modality.
        gallery: The rows that have the second one. An id on both sides is one observation.
        names: What the two modalities are called; equal names mean one modality.
        levels: Levels of relevance; `instance` is passed over where the names are equal.
        recall_at: Depths of the hits.
        of_classes: Whether the gallery's contents belong to a class and to no unit, as texts do.

    Memory beyond the inputs: about 100 MiB for blocks of the product, never n x m.

    Raises:
        VectorError: The two sides differ in dimensions.
        DataError: An id is of two units.
        UsageError: A level is none, or twice; a depth is below 1.
    """
    _check(levels, recall_at)
    check_sides(query, gallery)
    same = names[0] == names[1]
    asked = [level for level in levels if not (same and level == "instance")]
    search = _Search.of(query, gallery, [one for one in asked if one != "instance"], of_classes)
    n = len(query.ids)
    columns: dict[str, Any] = {"id": pa.array(query.ids), "unit": pa.array(query.units)}
    sizes: dict[str, int] = {}
    unknown: dict[str, int] = {}
    for level in asked:
        columns |= {f"{level}Relevant": np.zeros(n, np.int32)}
        columns |= {f"{level}Available": np.zeros(n, np.int32)}
        for name in _columns(recall_at):
            columns[level + name] = np.full(n, np.nan, dtype=np.float32)
        sizes[level] = int(search.kept(level).sum())
        labels = search.labels.get(level)
        unknown[level] = 0 if labels is None else int((labels[0] < 0).sum())
    for kept, shared in search.passes(asked):
        _fill(columns, search, kept, shared, same, recall_at)
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    return Retrieval(names[0], names[1], table, sizes, len(gallery.ids), unknown)


def contents(
    vectors: Float[np.ndarray, "m d"], *labels: Int[np.ndarray, "m"]
) -> tuple[Int[np.ndarray, "c"], Int[np.ndarray, "m"]]:
    """Rows that stand for all that are equal to them, and the number of the one of each row.

    Args:
        vectors: Equal to the last bit is equal (0 and -0 are).
        labels: Codes that must be equal too.
    """
    clean = np.ascontiguousarray(vectors + np.float32(0), dtype=np.float32)
    parts = [clean.view(np.uint8).reshape(len(clean), -1)]
    parts += [np.ascontiguousarray(one, dtype=np.int64)[:, None].view(np.uint8) for one in labels]
    whole = np.ascontiguousarray(np.concatenate(parts, axis=1))
    as_bytes = whole.view(np.dtype((np.void, whole.shape[1]))).reshape(-1)
    _, first, code = np.unique(as_bytes, return_index=True, return_inverse=True)
    return first, code


@dataclass(frozen=True)
class _Lists:
    """Lists of items by a number: those of number i stand from `start[i]` on."""

    items: Int[np.ndarray, "k"]
    start: Int[np.ndarray, "numbers1"]

    @classmethod
    def by(cls, number: Int[np.ndarray, "c"], n: int) -> "_Lists":
        """Items by their number; negative ones are in no list."""
        order = np.argsort(number, kind="stable")
        return cls(order, np.searchsorted(number[order], np.arange(n + 1)))

    def of(self, wanted: Int[np.ndarray, "q"]) -> tuple[np.ndarray, np.ndarray]:
        """Of each wanted number the place in `wanted` and the item, one pair a row."""
        known = np.flatnonzero(wanted >= 0)
        low, high = self.start[wanted[known]], self.start[wanted[known] + 1]
        size = high - low
        first = np.cumsum(size) - size
        place = np.repeat(known, size)
        return place, self.items[np.arange(size.sum()) + np.repeat(low - first, size)]


@dataclass(frozen=True)
class _Search:
    """Queries and contents of the gallery in codes.

    Attributes:
        vectors: Of the contents.
        query_vector: The number of each query's vector; equal vectors have one number.
        item_vector: The number of each content's vector, likewise.
        units: The queries' units, and the one that a content is of, -1 where it is of several.
        labels: The names of both sides at each rank, -1 where unknown.
        joined: Pairs of a query's vector and a gallery's vector that an observation joins.
    """

    query: Items
    vectors: Float[np.ndarray, "c d"]
    query_vector: Int[np.ndarray, "n"]
    item_vector: Int[np.ndarray, "c"]
    units: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "c"]]
    labels: Mapping[str, tuple[Int[np.ndarray, "n"], Int[np.ndarray, "c"]]]
    joined: Int[np.ndarray, "2 j"]

    @classmethod
    def of(cls, query: Items, gallery: Items, ranks: Sequence[str], of_classes: bool) -> "_Search":
        """Number everything."""
        own_units, units = codes(query.units, gallery.units)
        labels = {rank: codes(query.labels[rank], gallery.labels[rank]) for rank in ranks}
        both = np.concatenate([query.vectors, gallery.vectors])
        _, vector = contents(both)
        of_query, of_gallery = vector[: len(query.ids)], vector[len(query.ids) :]
        first, item = contents(gallery.vectors, *(theirs for _, theirs in labels.values()))
        lowest = np.full(len(first), np.iinfo(np.int64).max)
        highest = np.full(len(first), -1)
        np.minimum.at(lowest, item, units)
        np.maximum.at(highest, item, units)
        item_unit = np.where((lowest == highest) & (not of_classes), lowest, -1)
        row_of = {name: row for row, name in enumerate(gallery.ids)}
        pairs = [
            (of_query[row], of_gallery[row_of[name]])
            for row, name in enumerate(query.ids)
            if name in row_of
        ]
        joined = np.array(sorted(set(pairs)), dtype=np.int64).reshape(-1, 2).T
        return cls(
            query,
            gallery.vectors[first],
            of_query,
            of_gallery[first],
            (own_units, item_unit),
            {rank: (own, theirs[first]) for rank, (own, theirs) in labels.items()},
            joined,
        )

    def kept(self, level: str) -> Bool[np.ndarray, "c"]:
        """Which contents are searched at a level: those with a name."""
        if level == "instance":
            return np.ones(len(self.vectors), dtype=bool)
        return self.labels[level][1] >= 0

    def passes(self, levels: Sequence[str]) -> list[tuple[np.ndarray, list[str]]]:
        """Levels that search the same contents under the same exclusions, together."""
        found: dict[tuple[bool, bytes], tuple[np.ndarray, list[str]]] = {}
        for level in levels:
            kept = np.flatnonzero(self.kept(level))
            key = (level == "instance", kept.tobytes())
            found.setdefault(key, (kept, []))[1].append(level)
        return [one for one in found.values() if len(one[0])]

    def right(self, level: str, kept: Int[np.ndarray, "k"]) -> tuple[_Lists, np.ndarray]:
        """Lists of places in `kept`, and the list of each query's right items (-1 for none)."""
        if level != "instance":
            own, theirs = self.labels[level]
            n = _n_codes(own, theirs)
            return _Lists.by(theirs[kept], n), own
        n = _n_codes(self.query_vector, self.item_vector)
        by_vector = _Lists.by(self.item_vector[kept], n)
        place, item = by_vector.of(self.joined[1])
        owner = self.joined[0][place]
        order = np.argsort(owner, kind="stable")
        start = np.searchsorted(owner[order], np.arange(n + 1))
        return _Lists(item[order], start), self.query_vector


def _fill(
    columns: dict[str, Any],
    search: _Search,
    kept: Int[np.ndarray, "k"],
    levels: Sequence[str],
    same: bool,
    recall_at: Sequence[int],
) -> None:
    """Fill the columns of levels that share one sorting of the similarities."""
    right = {level: search.right(level, kept) for level in levels}
    units = search.units[1][kept]
    by_unit = _Lists.by(units, _n_codes(search.units[0], units))
    n_vectors = _n_codes(search.query_vector, search.item_vector)
    by_vector = _Lists.by(search.item_vector[kept], n_vectors)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, len(kept) + 1))])
    for rows, scores in _blocks(search, kept):
        hidden = np.zeros(scores.shape, dtype=bool)
        hidden[by_unit.of(search.units[0][rows])] = True
        if same:
            hidden[by_vector.of(search.query_vector[rows])] = True
        found = {level: lists.of(wanted[rows]) for level, (lists, wanted) in right.items()}
        if "instance" in found:
            hidden[found["instance"]] = False
        scores[hidden] = -np.inf
        ascending = np.sort(scores, axis=1)
        available = scores.shape[1] - hidden.sum(axis=1)
        for level, (place, item) in found.items():
            seen = ~hidden[place, item]
            place, item = place[seen], item[seen]
            groups = _Groups.of(place, scores[place, item], ascending)
            n_right = np.bincount(place, minlength=len(rows))
            columns[f"{level}Relevant"][rows] = n_right
            columns[f"{level}Available"][rows] = available
            queries = rows[groups.place[groups.first]]
            for k in recall_at:
                columns[f"{level}Hit@{k}"][queries] = groups.hit(k)
            columns[f"{level}Rank"][queries] = groups.rank()
            precision = groups.average_precision(harmonic)
            columns[f"{level}AveragePrecision"][queries] = precision


def _blocks(
    search: _Search, kept: Int[np.ndarray, "k"]
) -> Iterator[tuple[Int[np.ndarray, "b"], Float[np.ndarray, "b k"]]]:
    """Cosines of a block of queries with all that is kept."""
    first, column = contents(search.vectors[kept])
    # A product may round equal columns differently, which would break a tie.
    others = search.vectors[kept][first]
    step = max(1, _BLOCK_CELLS // len(kept))
    for start in range(0, len(search.query.ids), step):
        rows = np.arange(start, min(start + step, len(search.query.ids)))
        yield rows, (search.query.vectors[rows] @ others.T)[:, column]


@dataclass(frozen=True)
class _Groups:
    """Right items of equal similarity to one query, the most similar group of each query first.

    Attributes:
        place: The query in its block.
        above: Items, right or not, that are more similar.
        size: Items of this similarity.
        right: Of these, the right ones.
        before: Right items that are more similar.
        first: Which groups are the first of their query.
    """

    place: Int[np.ndarray, "g"]
    above: Int[np.ndarray, "g"]
    size: Int[np.ndarray, "g"]
    right: Int[np.ndarray, "g"]
    before: Int[np.ndarray, "g"]
    first: Int[np.ndarray, "f"]

    @classmethod
    def of(
        cls,
        place: Int[np.ndarray, "r"],
        score: Float[np.ndarray, "r"],
        ascending: Float[np.ndarray, "b k"],
    ) -> "_Groups":
        """Group the right items of a block of queries."""
        if (place[1:] <= place[:-1]).any():  # else each query has one, and nothing is to be sorted
            order = np.lexsort((-score, place))
            place, score = place[order], score[order]
        new = np.ones(len(place), dtype=bool)
        new[1:] = (place[1:] != place[:-1]) | (score[1:] != score[:-1])
        start = np.flatnonzero(new)
        right = np.diff(np.append(start, len(place)))
        place, score = place[start], score[start]
        k = ascending.shape[1]
        above = np.empty(len(place), dtype=np.int64)
        upto = np.empty(len(place), dtype=np.int64)
        ends = np.searchsorted(place, np.arange(len(ascending) + 1))
        for row in np.unique(place):
            part = slice(ends[row], ends[row + 1])
            above[part] = k - np.searchsorted(ascending[row], score[part], side="right")
            upto[part] = k - np.searchsorted(ascending[row], score[part], side="left")
        first = np.flatnonzero(np.append(True, place[1:] != place[:-1])[: len(place)])
        total = np.cumsum(right) - right
        before = total - np.repeat(total[first], np.diff(np.append(first, len(place))))
        return cls(place, above, upto - above, right, before, first)

    def hit(self, k: int) -> Float[np.ndarray, "f"]:
        """The chance that a right item is among the first `k`."""
        above, size, right = self.above[self.first], self.size[self.first], self.right[self.first]
        return hit_chance(right, size, np.clip(k - above, 0, size))

    def rank(self) -> Float[np.ndarray, "f"]:
        """The mean rank of the first right item."""
        above, size, right = self.above[self.first], self.size[self.first], self.right[self.first]
        return above + (size + 1) / (right + 1)

    def average_precision(self, harmonic: Float[np.ndarray, "k1"]) -> Float[np.ndarray, "f"]:
        """The mean of average precision over the orders of ties.

        At place i of a group of t items, p of them right, n more similar, R right ones before it:
        right with chance p/t, and then R + 1 + (i - 1)(p - 1)/(t - 1) right ones among n + i.
        """
        n, t, p = self.above, self.size, self.right
        slope = np.where(t > 1, (p - 1) / np.maximum(t - 1, 1), 0)
        level = self.before + 1 - slope * (n + 1)
        total = p / t * (slope * t + level * (harmonic[n + t] - harmonic[n]))
        ends = np.append(self.first, len(p))
        n_right = np.add.reduceat(p, self.first) if len(p) else np.zeros(0)
        sums = np.add.reduceat(total, ends[:-1]) if len(p) else np.zeros(0)
        return sums / np.maximum(n_right, 1)


def hit_chance(
    right: Int[np.ndarray, "f"], size: Int[np.ndarray, "f"], drawn: Int[np.ndarray, "f"]
) -> Float[np.ndarray, "f"]:
    """The chance that `drawn` of `size` items, drawn without return, hold one of `right`.

    With all available items for `size` this is Recall@k of a search by chance.
    """
    wrong = size - right
    some = (drawn > 0) & (right > 0)
    sure = some & (drawn > wrong)
    inside = np.where(some & ~sure, drawn, 0)
    none = gammaln(wrong + 1) - gammaln(wrong - inside + 1)
    none += gammaln(size - inside + 1) - gammaln(size + 1)
    chance = np.where(some, -np.expm1(none), 0.0)
    return np.where(sure, 1.0, chance)


def _n_codes(*codes: Int[np.ndarray, "..."]) -> int:
    """How many numbers there are up to the highest code."""
    return 1 + max(int(one.max(initial=-1)) for one in codes)


def _columns(recall_at: Sequence[int]) -> list[str]:
    return [*(f"Hit@{k}" for k in recall_at), "Rank", "AveragePrecision"]


def _check(levels: Sequence[str], recall_at: Sequence[int]) -> None:
    known = get_args(Level)
    if not levels or len(set(levels)) != len(levels) or not set(levels) <= set(known):
        raise UsageError(
            f"Levels of relevance must be some of {', '.join(known)}, each once, not "
            f"{', '.join(levels) or 'none'}."
        )
    if not recall_at or min(recall_at) < 1:
        raise UsageError(f"Depths of Recall@k must be 1 or more, not {list(recall_at)}.")
