"""What a similarity means: the probability that a record is of the same species as the question.

    P(same species | cosine), never falling as the cosine grows

It is learned from the collection itself. Up to 2,000 of its records that are named to species are
drawn, the same ones for the same seed and records. Each asks for its 20 nearest, without itself and
without other media of its own specimen (equal `occurrenceID` or `unit` of one set): a second
photograph of the same specimen lies nearer than anything that a visitor can bring, and would
flatter. Neighbours that are not named to species say nothing and are left out.

A species without another specimen in the collection stays in: its neighbours are all wrong, just as
they are for a visitor's picture of a species that the collection does not have. `alone` says how
many of the questions that were.

Two forms are fitted, isotonic regression (Zadrozny and Elkan, KDD 2002) and Platt's logistic curve
(1999), and the one with the lower log loss on held-out questions is taken, fitted again on all.
Isotonic steps of 0 and 1 are drawn in to what so many pairs can show. The expected calibration
error on the held-out questions (bins of equal numbers) goes into the notes, so that a page can be
honest.

"Nothing close" is said where the best hit's probability is below `level`; and where too few records
have names to know it, where its similarity is below that of 99 % of the collection's records to
their own nearest neighbours.

Both speak of similarities between single records. A text lies farther from any picture than
pictures from one another: `Question.comparable` says to what they apply.

Legend: m similarities, p pairs of a question and a neighbour, q questions, d dimensions.
"""

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64
from numpy.typing import NDArray

from syntype.progress import SILENT, Progress
from syntype.provenance import named_seed, plain
from syntype.search.index import Index

NOTE = "calibration"
"""Where a card's notes have it."""
LEVEL = 0.05
"""Below this probability of the best hit, nothing is close."""
N_QUESTIONS, N_NEIGHBOURS = 2000, 20

_READ = 10_000  # ids at a time
_AT_ONCE = 64  # questions at a time
_DEEPEST = 320  # hits that are looked through for neighbours of other specimens
_LEAST = 30  # pairs of each kind, same and other species, below which nothing is fitted
_FOLDS = 5
_FAR = 0.01  # quantile of the nearest neighbours' similarities
_BINS = 10

Form = Literal["isotonic", "logistic", "none"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A monotone curve from cosine to probability, and what it is worth.

    Attributes:
        form: isotonic or logistic; none where too few records are named.
        cosines: Where the isotonic curve bends, rising; it is straight between and flat outside.
        probabilities: Its values there.
        slope: Of the logistic curve 1 / (1 + exp(-(slope cosine + offset))), 0 or more.
        offset: Likewise.
        level: Below which probability nothing is close.
        far: Below which similarity nothing is close where the form is none.
        n_records: Records of the index at the time.
        n_questions: Records that asked.
        n_pairs: Pairs that were counted.
        share_same: The share of pairs that were of one species.
        alone: The share of questions whose species has no other specimen in the index.
        error: Expected calibration error on held-out questions; None where the form is none.
        log_loss: Likewise.
    """

    form: Form
    cosines: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    slope: float = 0.0
    offset: float = 0.0
    level: float = LEVEL
    far: float | None = None
    n_records: int = 0
    n_questions: int = 0
    n_pairs: int = 0
    share_same: float = 0.0
    alone: float = 0.0
    error: float | None = None
    log_loss: float | None = None

    def closeness(self, similarities: Float[np.ndarray, "m"]) -> Float64[np.ndarray, "m"] | None:
        """Probabilities that records of such similarities are of the same species.

        Returns:
            None where too few records are named to know.
        """
        wide = np.asarray(similarities, np.float64)
        if self.form == "isotonic":
            return np.interp(wide, self.cosines, self.probabilities)
        if self.form == "logistic":
            return _logistic(wide, self.slope, self.offset)
        return None

    def nothing_close(self, best: float) -> bool:
        """Whether the best hit, of such similarity, is not close."""
        found = self.closeness(np.array([best]))
        if found is not None:
            return bool(found[0] < self.level)
        return self.far is not None and best < self.far

    def to_notes(self) -> dict[str, Any]:
        """As it goes into a card's notes: `{"calibration": ...}`, plain JSON types."""
        return {NOTE: plain(asdict(self))}

    @classmethod
    def from_notes(cls, notes: Mapping[str, Any]) -> "Calibration | None":
        """The calibration in a card's notes; None where there is none that can be read."""
        content = notes.get(NOTE)
        if not isinstance(content, Mapping):
            return None
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        for name in ("cosines", "probabilities"):
            known[name] = tuple(float(one) for one in known.get(name, ()))
        n_bends = len(known["cosines"])
        whole = n_bends == len(known["probabilities"]) and (n_bends or known["form"] != "isotonic")
        return cls(**known) if whole else None


def calibrate(
    index: Index,
    seed: int = 0,
    *,
    n: int = N_QUESTIONS,
    level: float = LEVEL,
    progress: Progress = SILENT,
) -> Calibration:
    """Learn from an index what its similarities mean.

    Args:
        index: Its records ask one another.
        seed: Of which of them do.
        n: How many at most.
        level: Below which probability nothing is close.
        progress: Where to say how far it is.
    """
    ids, rows = _drawn(index, seed, n)
    pairs = _pairs(index, ids, rows, progress)
    counts: dict[str, Any] = {
        "level": level,
        "far": _quantile(pairs.nearest),
        "n_records": len(index),
        "n_questions": len(ids),
        "n_pairs": len(pairs.cosines),
        "share_same": _rounded(pairs.same.mean()) if len(pairs.same) else 0.0,
        "alone": _rounded(pairs.alone / len(ids)) if ids else 0.0,
    }
    n_same = int(pairs.same.sum())
    if min(n_same, len(pairs.same) - n_same) < _LEAST:
        return Calibration(form="none", **counts)
    fold = np.random.default_rng(named_seed(seed, "folds of calibration")).integers(
        _FOLDS, size=max(len(ids), 1)
    )[pairs.questions]
    from syntype.evaluation.calibration import calibration as gaps  # scipy: not to serve with

    forms: dict[Form, Any] = {"isotonic": _isotonic, "logistic": _platt}
    held = {form: _held_out(fit, pairs, fold) for form, fit in forms.items()}
    losses = {form: _log_loss(found, pairs.same) for form, found in held.items()}
    best = min(losses, key=lambda form: losses[form])
    error = gaps(held[best], pairs.same, _BINS).adaptive_ece
    return Calibration(
        form=best,
        **forms[best](pairs.cosines, pairs.same),
        **counts,
        error=None if error is None else _rounded(error),
        log_loss=_rounded(losses[best]),
    )


class _Pairs(NamedTuple):
    """Questions and their neighbours.

    Attributes:
        questions: Number of the question of each pair.
        cosines: Of each pair.
        same: Whether its two are of one species.
        nearest: Similarity of each question to its nearest record of another specimen.
        alone: Questions whose species has no other specimen.
    """

    questions: Int64[np.ndarray, "p"]
    cosines: Float64[np.ndarray, "p"]
    same: Bool[np.ndarray, "p"]
    nearest: list[float]
    alone: int


def _drawn(index: Index, seed: int, n: int) -> tuple[list[str], list[Mapping[str, Any]]]:
    """Records named to species, drawn by a hash of their ids; any records where none is named.

    The hash makes the draw depend on the ids alone, and leave most of it as it is when records
    come or go.
    """
    salt = named_seed(seed, "questions of calibration").to_bytes(8, "big")

    def chance(id_: str) -> bytes:
        return hashlib.blake2b(id_.encode(errors="surrogatepass"), digest_size=8, key=salt).digest()

    # Ten times as many, since not every one is named.
    order = heapq.nsmallest(10 * n, _all_ids(index), key=lambda id_: (chance(id_), id_))
    named: dict[str, Mapping[str, Any]] = {}
    others: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(order), n):
        part = order[start : start + n]
        for id_, row in zip(part, index.records(part), strict=True):
            if row is not None:
                (named if row["species"] else others)[id_] = row
        if len(named) >= n:
            break
    chosen = list((named or others).items())[:n]
    return [id_ for id_, _ in chosen], [row for _, row in chosen]


def _all_ids(index: Index) -> Iterator[str]:
    after = ""
    while ids := index.browse(_READ, after=after):
        yield from ids
        after = ids[-1]


def _pairs(
    index: Index, ids: Sequence[str], rows: Sequence[Mapping[str, Any]], progress: Progress
) -> _Pairs:
    of_species = dict(index.facet("species", most=len(index)))
    questions: list[int] = []
    cosines: list[float] = []
    same: list[bool] = []
    nearest: list[float] = []
    alone = 0
    with progress.task("calibrate", total=len(ids)) as task:
        for start in range(0, len(ids), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            vectors = index.vectors(ids[start : start + _AT_ONCE])
            for number, found in enumerate(_neighbours(index, vectors, part)):
                species = part[number]["species"]
                nearest += [similarity for similarity, _ in found.others[:1]]
                named = [(cosine, other) for cosine, other in found.others if species and other]
                questions += [start + number] * len(named)
                cosines += [cosine for cosine, _ in named]
                same += [other == species for _, other in named]
                alone += bool(species) and of_species.get(species, 0) <= found.n_own
            task.advance(len(part))
    return _Pairs(
        np.array(questions, np.int64), np.array(cosines, np.float64), np.array(same, bool),
        nearest, alone,
    )  # fmt: skip


class _Neighbours(NamedTuple):
    """What lies around a question.

    Attributes:
        others: Similarity and species of its nearest records of other specimens.
        n_own: Records of its own specimen and species that were met, itself among them.
    """

    others: list[tuple[float, str]]
    n_own: int


def _neighbours(
    index: Index, vectors: Float32[np.ndarray, "q d"], rows: Sequence[Mapping[str, Any]]
) -> list[_Neighbours]:
    found = [_Neighbours([], 0) for _ in rows]
    waiting, depth = list(range(len(rows))), 2 * N_NEIGHBOURS + 1
    while waiting:
        answers = index.search(vectors[waiting], depth)
        ids = list(dict.fromkeys(hit.id for hits in answers for hit in hits))
        records = dict(zip(ids, index.records(ids), strict=True))
        again = []
        for number, hits in zip(waiting, answers, strict=True):
            met = [(hit.similarity, records[hit.id]) for hit in hits]
            there = [(similarity, record) for similarity, record in met if record is not None]
            own = [record for _, record in there if _same_specimen(rows[number], record)]
            others = [
                (similarity, record["species"])
                for similarity, record in there
                if not _same_specimen(rows[number], record)
            ]
            n_own = sum(record["species"] == rows[number]["species"] for record in own)
            found[number] = _Neighbours(others[:N_NEIGHBOURS], max(n_own, 1))
            # A specimen of many photographs has its own all around it.
            if len(others) < N_NEIGHBOURS and len(hits) == depth and depth < _DEEPEST:
                again.append(number)
        waiting, depth = again, 2 * depth
    return found


def _same_specimen(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records are of one specimen, or the same record."""
    if one["id"] == other["id"]:
        return True
    if one["datasetName"] != other["datasetName"]:
        return False
    return any(one[name] and one[name] == other[name] for name in ("occurrenceID", "unit"))


_Curve = dict[str, Any]


def _isotonic(cosines: Float64[np.ndarray, "p"], same: Bool[np.ndarray, "p"]) -> _Curve:
    from sklearn.isotonic import IsotonicRegression

    # Half a pair on either side: what so many pairs can show.
    least = 1 / (2 * len(same))
    fitted = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    fitted.fit(cosines, same.astype(np.float64))
    return {
        "cosines": tuple(map(_rounded, fitted.X_thresholds_)),
        "probabilities": tuple(map(_rounded, fitted.y_thresholds_)),
    }


def _platt(cosines: Float64[np.ndarray, "p"], same: Bool[np.ndarray, "p"]) -> _Curve:
    from scipy import optimize

    # Platt's targets, which keep the curve from becoming a step where the two kinds are apart.
    n_same = int(same.sum())
    right, wrong = (n_same + 1) / (n_same + 2), 1 / (len(same) - n_same + 2)
    targets = np.where(same, right, wrong)
    centre, spread = cosines.mean(), cosines.std() or 1.0
    scaled = (cosines - centre) / spread

    def loss(curve: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = curve[0] * scaled + curve[1]
        gap = _logistic(scaled, curve[0], curve[1]) - targets
        total = float(np.mean(np.logaddexp(0, logits) - targets * logits))
        return total, np.array([np.mean(gap * scaled), np.mean(gap)])

    found = optimize.minimize(
        loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)]
    )
    slope = float(found.x[0] / spread)
    return {"slope": slope, "offset": float(found.x[1] - slope * centre)}


def _logistic(values: NDArray[np.float64], slope: float, offset: float) -> NDArray[np.float64]:
    logits = np.clip(slope * values + offset, -500, 500)
    return np.asarray(1 / (1 + np.exp(-logits)))


def _held_out(fit: Any, pairs: _Pairs, fold: Int64[np.ndarray, "p"]) -> NDArray[np.float64]:
    """The probability of each pair by the curve of the other folds; a question is in one fold."""
    found = np.full(len(pairs.same), pairs.same.mean())
    for number in range(_FOLDS):
        here = fold == number
        cosines, same = pairs.cosines[~here], pairs.same[~here]
        if here.any() and 0 < same.sum() < len(same):
            form: Form = "isotonic" if fit is _isotonic else "logistic"
            curve = Calibration(form=form, **fit(cosines, same))
            probabilities = curve.closeness(pairs.cosines[here])
            assert probabilities is not None, "a curve was fitted"
            found[here] = probabilities
    return found


def _log_loss(found: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    safe = np.clip(found, 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(same, np.log(safe), np.log1p(-safe))))


def _quantile(nearest: Sequence[float]) -> float | None:
    return _rounded(np.quantile(nearest, _FAR)) if len(nearest) else None


def _rounded(value: float) -> float:
    return round(float(value), 7)
