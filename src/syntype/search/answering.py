r"""From a vector to an answer: pages that stay put, groups by taxon, diversity, how close it is.

Legend: d dimensions.

Pages. The order is that of similarity, and of ids among equals; the next page begins behind the
last hit of this one (`syntype.search.cursor`). So whatever comes or goes between two pages, nothing
is shown twice, and what has not changed is not passed over. This asks of an engine that equal
vectors have equal similarities, whatever else is in the index.

Groups. Records are gathered under their species, genus or family, and groups stand in the order of
their best records. Each shows at most 4 of the records that were found on the way, and counts all
that fit.

Diversity is maximal marginal relevance (Carbonell and Goldstein, "The Use of MMR, Diversity-Based
Reranking", SIGIR 1998): of the best max(5 n, 100) records R, one after the other is taken into S,

    the i of R \ S with the largest  lambda cos(i, q) - (1 - lambda) max over j of S of cos(i, j),

where the maximum over nothing is 0, lambda = 1 - diversity, and equals go by similarity and id. S
begins with what earlier pages showed. Diversity 0 is the plain order.

Groups and diversity change the order, so their cursors say what was shown, and their pages end
after 500 groups or records; those of the plain order after 10,000 records.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from syntype.errors import DataError, UsageError
from syntype.search.calibration import Calibration
from syntype.search.cursor import Cursor, Mark, marked, with_shown
from syntype.search.index import Hit, Index
from syntype.search.question import Question
from syntype.search.where import EVERYTHING, Where

GROUPS = ("species", "genus", "family")
"""Ranks that records are grouped by."""
SHOWN_OF_GROUP = 4
MOST_HITS = 10_000
"""How deep pages in the order of similarity go."""
MOST_SHOWN = 500
"""Groups, or records re-ranked by diversity, on all pages of an answer together."""
_MOST_GROUPED = 4_000  # hits whose taxa are looked up
_LEAST_POOL = 100  # that diversity chooses from
_TRIES = 5  # where records go while they are looked up


class Found(NamedTuple):
    """A record that was found.

    Attributes:
        record: A row of `RECORD`.
        similarity: Cosine to the question; None where records were browsed.
        closeness: The probability that it is of the same species; None where it is not known.
    """

    record: Mapping[str, Any]
    similarity: float | None = None
    closeness: float | None = None


class Group(NamedTuple):
    """A taxon of which records were found.

    Attributes:
        name: Of the taxon; "" gathers records without a name at that rank.
        rank: species, genus or family.
        ids: Its best records, 4 at most.
        best: Similarity of the first of them.
        n: Records that fit the conditions and are of it.
    """

    name: str
    rank: str
    ids: tuple[str, ...]
    best: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was found.

    Attributes:
        found: Records, in their order; those of groups one group after the other.
        groups: Where they were asked for.
        next: The cursor of the next page; "" where there is none.
        total: Records that fit the conditions, similar or not.
        nothing_close: Whether even the most similar record is not close (`Calibration`).
    """

    found: tuple[Found, ...]
    groups: tuple[Group, ...] | None = None
    next: str = ""
    total: int = 0
    nothing_close: bool = False


def ask(
    index: Index,
    question: Question,
    vector: Float32[np.ndarray, "d"] | None,
    *,
    n: int = 30,
    where: Where = EVERYTHING,
    group: str = "",
    diversity: float = 0.0,
    after: str = "",
    calibration: Calibration | None = None,
) -> Answer:
    """Answer a question as `answer` does its vector.

    `Asker.vector` makes the vector; None stands for that of an empty question. Calibration
    speaks of similarities between records, so it is only told for questions that are comparable
    with them.

    Raises:
        UsageError: As `answer` does.
    """
    return answer(
        index,
        vector,
        n=n,
        where=where,
        group=group,
        diversity=diversity,
        after=after,
        calibration=calibration if question.comparable else None,
        without=question.named,
        far=question.far,
    )


def answer(
    index: Index,
    vector: Float32[np.ndarray, "d"] | None,
    *,
    n: int = 30,
    where: Where = EVERYTHING,
    group: str = "",
    diversity: float = 0.0,
    after: str = "",
    calibration: Calibration | None = None,
    without: Collection[str] = (),
    far: bool = False,
) -> Answer:
    """The records that are most like a vector, of those that fit.

    Args:
        index: Where they lie.
        vector: Of length 1; None browses records in the order of their ids.
        n: Records, or groups, on a page.
        where: Conditions.
        group: "" or one of `GROUPS`.
        diversity: 0 to 1: how much records that are like one another are kept apart.
        after: `Answer.next` of the page before, or "".
        calibration: What similarities mean; None leaves closeness open.
        without: Ids that are no answers: the examples that were given.
        far: Whether the vector lies far from every record (`Question.far`).

    Raises:
        UsageError: An option is out of range, or contradicts another; or `after` is broken, or of
            another question.
    """
    _check(n, group, diversity, browsing=vector is None)
    mark = Mark.of(vector, where, group, diversity)
    cursor = Cursor.read(after, mark) if after else None
    if vector is None:
        return _browsed(index, n, where, mark, cursor)
    search = _Search(index, vector, where, frozenset(without), far)
    if group:
        page = _grouped(search, n, group, mark, cursor)
    elif diversity:
        page = _diverse(search, n, diversity, mark, cursor)
    else:
        page = _plain(search, n, mark, cursor)
    if calibration is None:
        return page
    closeness = calibration.closeness(np.array([one.similarity for one in page.found], np.float64))
    found = page.found
    if closeness is not None:
        found = tuple(
            one._replace(closeness=float(close))
            for one, close in zip(found, closeness, strict=True)
        )
    best = search.best
    close = best is None or not calibration.nothing_close(best)
    return replace(page, found=found, nothing_close=not close)


def _check(n: int, group: str, diversity: float, *, browsing: bool) -> None:
    if n < 1:
        raise UsageError(f"n is 1 or more, not {n}.")
    if not 0 <= diversity <= 1:
        raise UsageError(f"diversity lies between 0 and 1, not at {diversity:g}.")
    if group and group not in GROUPS:
        raise UsageError(f"Records are grouped by {', '.join(GROUPS)}, not by {group!r}.")
    if browsing and (group or diversity):
        raise UsageError(
            "Groups and diversity order what is similar, and nothing is given that records should "
            "be like: give a picture, a text or a record, or leave them out."
        )
    if group and diversity:
        raise UsageError("Take group or diversity, not both: groups keep like records apart.")


@dataclass
class _Search:
    """Asks an index for the same thing, deeper and deeper.

    Attributes:
        index: Where records lie.
        vector: What is asked.
        where: Conditions.
        without: Ids that are no answers.
        far: Whether the vector lies far from every record.
        best: The largest similarity that was met.
    """

    index: Index
    vector: Float32[np.ndarray, "d"]
    where: Where
    without: frozenset[str]
    far: bool
    best: float | None = None

    def hits(self, n: int) -> tuple[list[Hit], bool]:
        """The best n that are answers, and whether there may be more."""
        depth = n + len(self.without)
        (hits,) = self.index.search(self.vector[None], depth, self.where, far=self.far)
        answers = [hit for hit in hits if hit.id not in self.without]
        if answers:
            self.best = answers[0].similarity
        return answers, len(hits) == depth

    def found(self, hits: Sequence[Hit]) -> tuple[Found, ...]:
        """Their records; one that has gone meanwhile is left out."""
        records = self.index.records([hit.id for hit in hits])
        return tuple(
            Found(record, hit.similarity)
            for hit, record in zip(hits, records, strict=True)
            if record is not None
        )

    def total(self) -> int:
        """Records that fit."""
        return self.index.count(self.where)


def _browsed(index: Index, n: int, where: Where, mark: Mark, cursor: Cursor | None) -> Answer:
    ids = index.browse(n + 1, where, cursor.id if cursor else "")
    records = index.records(ids[:n])
    return Answer(
        found=tuple(Found(record) for record in records if record is not None),
        next=str(Cursor(mark, ids[n - 1])) if len(ids) > n else "",
        total=index.count(where),
    )


def _plain(search: _Search, n: int, mark: Mark, cursor: Cursor | None) -> Answer:
    begin = (-cursor.similarity, cursor.id) if cursor else (-np.inf, "")
    n_before = cursor.n_before if cursor else 0
    depth = min(n_before + n + 1, MOST_HITS)
    while True:
        hits, more = search.hits(depth)
        behind = [hit for hit in hits if (-hit.similarity, hit.id) > begin]
        if len(behind) > n or not more or depth >= MOST_HITS:
            break
        depth = min(2 * depth, MOST_HITS)  # records came that are more similar than the last page
    page = behind[:n]
    end = ""
    if len(behind) > n:
        end = str(Cursor(mark, page[-1].id, page[-1].similarity, n_before + n))
    return Answer(found=search.found(page), next=end, total=search.total())


def _grouped(search: _Search, n: int, rank: str, mark: Mark, cursor: Cursor | None) -> Answer:
    shown = cursor.shown if cursor else frozenset()
    n_wanted = min(n, MOST_SHOWN - len(shown))
    depth = min(max(SHOWN_OF_GROUP * (n + len(shown)), _LEAST_POOL), _MOST_GROUPED)
    met: dict[str, Found] = {}
    while True:
        hits, more = search.hits(depth)
        for one in search.found([hit for hit in hits if hit.id not in met]):
            met[one.record["id"]] = one
        taxa: dict[str, list[Found]] = {}
        for hit in hits:
            if hit.id in met:
                taxa.setdefault(met[hit.id].record[rank], []).append(met[hit.id])
        fresh = [name for name in taxa if marked(name) not in shown]
        if len(fresh) > n_wanted or not more or depth >= _MOST_GROUPED:
            break
        depth = min(2 * depth, _MOST_GROUPED)
    page = {name: taxa[name][:SHOWN_OF_GROUP] for name in fresh[:n_wanted]}
    after = with_shown(cursor, mark, page)
    ends = len(fresh) <= n_wanted or len(after.shown) >= MOST_SHOWN
    return Answer(
        found=tuple(one for found in page.values() for one in found),
        groups=tuple(_group(search, name, rank, found) for name, found in page.items()),
        next="" if ends else str(after),
        total=search.total(),
    )


def _group(search: _Search, name: str, rank: str, found: Sequence[Found]) -> Group:
    where = replace(search.where, equal={**search.where.equal, rank: (name,)})
    best = found[0].similarity
    assert best is not None, "what was searched for has a similarity"
    ids = tuple(one.record["id"] for one in found)
    return Group(name, rank, ids, best, search.index.count(where))


def _diverse(
    search: _Search, n: int, diversity: float, mark: Mark, cursor: Cursor | None
) -> Answer:
    shown = cursor.shown if cursor else frozenset()
    n_wanted = min(n, MOST_SHOWN - len(shown))
    for _ in range(_TRIES):
        hits, _ = search.hits(max(5 * n, _LEAST_POOL) + len(shown))
        try:
            vectors = search.index.vectors([hit.id for hit in hits])
            break
        except DataError:  # a record went between the two
            continue
    else:
        raise UsageError("The records change too fast to compare them with one another. Ask again.")
    before = [row for row, hit in enumerate(hits) if marked(hit.id) in shown]
    similarities = np.array([hit.similarity for hit in hits], np.float64)
    rows = marginal_relevance(vectors, similarities, n_wanted, diversity, before)
    page = [hits[row] for row in rows]
    after = with_shown(cursor, mark, [hit.id for hit in page])
    ends = len(hits) - len(before) <= n_wanted or len(after.shown) >= MOST_SHOWN
    return Answer(found=search.found(page), next="" if ends else str(after), total=search.total())


def marginal_relevance(
    vectors: Float32[np.ndarray, "r d"],
    similarities: np.ndarray,
    n: int,
    diversity: float,
    before: Sequence[int] = (),
) -> list[int]:
    """Rows in the order of maximal marginal relevance; the formula stands above.

    Args:
        vectors: Unit vectors of the candidates, in the plain order.
        similarities: Theirs to the question.
        n: How many rows at most.
        diversity: 1 - lambda.
        before: Rows that were taken already.
    """
    wide = vectors.astype(np.float64)
    taken = np.zeros(len(vectors), bool)
    nearest = np.full(len(vectors), -np.inf)
    chosen: list[int] = []

    def take(row: int) -> None:
        taken[row] = True
        # Row by row, so that equal vectors have equal scores.
        np.maximum(nearest, np.einsum("rd,d->r", wide, wide[row]), out=nearest)

    for row in before:
        take(row)
    while len(chosen) < min(n, len(vectors) - len(before)):
        redundancy = nearest if taken.any() else np.zeros(len(vectors))
        scores = (1 - diversity) * similarities - diversity * redundancy
        scores[taken] = -np.inf
        row = int(np.argmax(scores))  # the first of equals, so that ties are in the plain order
        chosen.append(row)
        take(row)
    return chosen
