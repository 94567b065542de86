"""The rules of curation, one after the other, on rows that are numbers.

Each rule looks only at what the rules before have left. A row that goes gets one verdict: that of
the first rule that wants it gone. The order:

    broken, small, blank         a picture that is here and is no use
    exact, near, cosine          the same as or near a picture of a set named by --against
    copies: mixed, then copies   the same bytes within the set
    near: mixed, then copies     near by hash, then by cosine, within the set
    caps                         bursts, units, species in a unit, species

Rows whose medium is not here pass what needs its looks; their digests count where the catalogue
brings them, and so do caps.

n rows
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8, UInt64

from syntype.configs.curate import CurateConfig
from syntype.data.curation.bands import near_among, near_between
from syntype.data.curation.caps import over_cap
from syntype.data.curation.cosine import CosinePairs
from syntype.data.curation.greedy import Links, keep_apart
from syntype.data.curation.measuring import PICTURE
from syntype.data.curation.rows import Looked, Rows

VERDICTS = (
    "kept",
    "broken",
    "small",
    "blank",
    "copy of another set",
    "near copy of another set",
    "cosine copy of another set",
    "mixed labels",
    "copy",
    "near copy",
    "cosine copy",
    "beyond the cap of its burst",
    "beyond the cap of its unit",
    "beyond the cap of its unit and species",
    "beyond the cap of its species",
)
"""What can become of a row."""
(
    KEPT,
    BROKEN,
    SMALL,
    BLANK,
    EXACT_AGAINST,
    NEAR_AGAINST,
    COSINE_AGAINST,
    MIXED,
    COPY,
    NEAR_COPY,
    COSINE_COPY,
    BURST,
    UNIT,
    UNIT_SPECIES,
    SPECIES,
) = range(len(VERDICTS))


@dataclass(frozen=True)
class Cosines:
    """Pairs of near vectors, by rows of the catalogues.

    Attributes:
        among: Within the set; None compares none.
        against: Of the set and each other set; None likewise.
    """

    among: CosinePairs | None = None
    against: Sequence[CosinePairs | None] = ()


@dataclass(frozen=True)
class Decisions:
    """What becomes of each row.

    Attributes:
        verdict: Number of `VERDICTS`.
        of_set: Where the picture lies that it is a copy of: 0 in this set, 1 in the first other,
            ...; -1 where it is a copy of none.
        of_row: That picture's row.
        apart: Bits, or the cosine, between the two; NaN where it is a copy of none.
        mixed: A copy or near copy under another species, -1 where there is none.
    """

    verdict: UInt8[np.ndarray, "n"]
    of_set: Int[np.ndarray, "n"]
    of_row: Int[np.ndarray, "n"]
    apart: Float32[np.ndarray, "n"]
    mixed: Int[np.ndarray, "n"]

    @classmethod
    def none(cls, n: int) -> "Decisions":
        """Decisions that keep n rows."""
        return cls(
            np.zeros(n, np.uint8),
            np.full(n, -1, np.int16),
            np.full(n, -1, np.int32),
            np.full(n, np.nan, np.float32),
            np.full(n, -1, np.int32),
        )

    @property
    def kept(self) -> Bool[np.ndarray, "n"]:
        """Which rows stay."""
        return self.verdict == KEPT

    def give(self, rows: np.ndarray, verdict: int) -> None:
        """Give rows, numbers or a mask, a verdict, if they have none yet."""
        self.verdict[rows] = np.where(self.verdict[rows] == KEPT, verdict, self.verdict[rows])

    def copies(
        self,
        rows: Int[np.ndarray, "k"],
        verdict: int,
        of_set: int,
        of_row: Int[np.ndarray, "k"],
        apart: np.ndarray | float,
    ) -> None:
        """Give rows a verdict, and say of what they are copies; all of them must still be in."""
        self.verdict[rows], self.of_set[rows], self.of_row[rows] = verdict, of_set, of_row
        self.apart[rows] = apart


def decide(
    rows: Rows, config: CurateConfig, others: Sequence[Looked] = (), cosines: Cosines | None = None
) -> Decisions:
    """Say what becomes of each row.

    Args:
        rows: The rows of the catalogue.
        config: The thresholds.
        others: The media of the other sets, copies of which go.
        cosines: Pairs of near vectors.
    """
    done = Decisions.none(len(rows))
    cosines = cosines or Cosines()
    _useless(rows.looked, config, done)
    for number, other in enumerate(others):
        pairs = cosines.against[number] if cosines.against else None
        _against(rows.looked, other, number + 1, pairs, config, done)
    _copies(rows, config, done)
    if config.near >= 0:
        _near(rows, config, done)
    if cosines.among is not None:
        _by_cosine(rows, cosines.among, config, done)
    _caps(rows, config, done)
    return done


def _useless(looked: Looked, config: CurateConfig, done: Decisions) -> None:
    done.give(looked.faulty, BROKEN)
    sound = (looked.kind == PICTURE) & ~looked.faulty
    done.give(sound & (np.minimum(looked.width, looked.height) < config.min_side), SMALL)
    done.give(sound & (looked.relief < config.blank), BLANK)


def _against(
    looked: Looked,
    other: Looked,
    number: int,
    pairs: CosinePairs | None,
    config: CurateConfig,
    done: Decisions,
) -> None:
    """Let go what is in another set, by its bytes, its looks, its vectors."""
    mine, theirs = np.flatnonzero(_known(looked) & done.kept), np.flatnonzero(_known(other))
    codes, _ = classes(np.concatenate([looked.digest[mine], other.digest[theirs]]))
    first = np.full(int(codes.max(initial=-1)) + 1, -1, np.int64)
    first[codes[len(mine) :][::-1]] = theirs[::-1]
    found = first[codes[: len(mine)]]
    done.copies(mine[found >= 0], EXACT_AGAINST, number, found[found >= 0], 0.0)
    if config.against_near >= 0:
        mine = np.flatnonzero(looked.hashed & ~looked.faulty & done.kept)
        theirs = np.flatnonzero(other.hashed & ~other.faulty)
        codes, firsts = classes(looked.hashes[mine])
        _, their_firsts = classes(other.hashes[theirs])
        theirs = theirs[their_firsts]
        own, their = as_bytes(looked.hashes[mine[firsts]]), as_bytes(other.hashes[theirs])
        near = near_between(own, their, config.against_near)
        of, bits = nearest(len(firsts), near.one, theirs[near.other], near.bits)
        gone = of[codes] >= 0
        done.copies(mine[gone], NEAR_AGAINST, number, of[codes][gone], bits[codes][gone])
    if pairs is not None:
        of, less = nearest(len(looked), pairs.one, pairs.other, 1 - pairs.cosine)
        gone = np.flatnonzero((of >= 0) & done.kept)
        done.copies(gone, COSINE_AGAINST, number, of[gone], 1 - less[gone])


def _copies(rows: Rows, config: CurateConfig, done: Decisions) -> None:
    inside = np.flatnonzero(_known(rows.looked) & done.kept)
    codes, firsts = classes(rows.looked.digest[inside])
    nothing = np.empty(0, np.int64)
    links = Links.of(len(firsts), nothing, nothing, nothing.astype(np.float64))
    _choose(rows, inside, codes, links, COPY if config.copies else KEPT, config, done)


def _near(rows: Rows, config: CurateConfig, done: Decisions) -> None:
    looked = rows.looked
    inside = np.flatnonzero(looked.hashed & ~looked.faulty & done.kept).astype(np.int32)
    codes, firsts = classes(looked.hashes[inside])
    near = near_among(as_bytes(looked.hashes[inside[firsts]]), config.near)
    links = Links.of(len(firsts), near.one, near.other, near.bits.astype(np.float64))
    _choose(rows, inside, codes, links, NEAR_COPY, config, done)


def _by_cosine(rows: Rows, pairs: CosinePairs, config: CurateConfig, done: Decisions) -> None:
    still = done.kept[pairs.one] & done.kept[pairs.other]
    one, other = pairs.one[still], pairs.other[still]
    inside = np.unique(np.concatenate([one, other]))
    links = Links.of(
        len(inside),
        np.searchsorted(inside, one),
        np.searchsorted(inside, other),
        1 - pairs.cosine[still].astype(np.float64),
    )
    _choose(rows, inside, np.arange(len(inside)), links, COSINE_COPY, config, done)


def _choose(
    rows: Rows,
    inside: Int[np.ndarray, "k"],
    node: Int[np.ndarray, "k"],
    links: Links,
    verdict: int,
    config: CurateConfig,
    done: Decisions,
) -> None:
    """Keep of copies or near copies those that may stay; give the others their verdict.

    The verdict `KEPT` lets go only what has mixed labels.
    """
    chosen = keep_apart(
        node,
        links,
        place=rows.place[inside],
        split=rows.split[inside],
        species=rows.species[inside],
        unit=None if verdict in (COPY, KEPT) else rows.unit[inside],
        drop_mixed=config.mixed == "drop",
    )
    told = np.flatnonzero((chosen.mixed >= 0) & (done.mixed[inside] < 0))
    done.mixed[inside[told]] = inside[chosen.mixed[told]]
    done.give(inside[chosen.dropped], MIXED)
    if verdict != KEPT:
        gone = np.flatnonzero(chosen.of >= 0)
        apart = 1 - chosen.apart[gone] if verdict == COSINE_COPY else chosen.apart[gone]
        done.copies(inside[gone], verdict, 0, inside[chosen.of[gone]], apart)


def _caps(rows: Rows, config: CurateConfig, done: Decisions) -> None:
    n_splits = 4
    unit = rows.unit.astype(np.int64) * n_splits + rows.split
    named = np.where(rows.species > 0, rows.species.astype(np.int64) * n_splits + rows.split, -1)
    both = np.where(named >= 0, unit * np.int64(len(rows.species_names)) + rows.species, -1)
    burst = np.where(rows.burst >= 0, rows.burst.astype(np.int64) * n_splits + rows.split, -1)
    for kind, most, verdict in (
        (burst, config.per_burst, BURST),
        (unit, config.per_unit, UNIT),
        (both, config.per_unit_species, UNIT_SPECIES),
        (named, config.per_species, SPECIES),
    ):
        if most:
            inside = np.flatnonzero(done.kept)
            looked = rows.looked
            gone = over_cap(
                kind[inside],
                most,
                rows.place[inside],
                looked.hashes[inside],
                looked.hashed[inside],
            )
            done.give(inside[gone], verdict)


def _known(looked: Looked) -> Bool[np.ndarray, "n"]:
    known: np.ndarray = (looked.digest != 0).any(axis=1)
    return known


def classes(
    words: UInt64[np.ndarray, "n w"],
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "c"]]:
    """Number the distinct rows of `words`.

    Returns:
        The number of each row, and the first row of each number.
    """
    if len(words) == 0:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    order = np.lexsort(tuple(words.T)).astype(np.int32)
    begins = np.ones(len(words), dtype=bool)
    begins[1:] = False
    for column in words.T:  # one at a time, to hold less
        ordered = column[order]
        begins[1:] |= ordered[1:] != ordered[:-1]
    codes = np.empty(len(words), np.int32)
    codes[order] = np.cumsum(begins) - 1
    # lexsort is stable, so the first of a run is the first row.
    return codes, order[begins]


def nearest(
    n: int, one: Int[np.ndarray, "p"], other: Int[np.ndarray, "p"], apart: np.ndarray
) -> tuple[Int[np.ndarray, "n"], np.ndarray]:
    """For each of n rows the nearest of its partners, the lowest of equals.

    Returns:
        The partner, -1 where there is none, and how far it is.
    """
    of, least = np.full(n, -1, np.int64), np.full(n, np.nan)
    order = np.lexsort((other, apart, one))[::-1]  # so that the nearest is written last
    of[one[order]], least[one[order]] = other[order], apart[order]
    return of, least


def as_bytes(words: UInt64[np.ndarray, "n 4"]) -> UInt8[np.ndarray, "n 32"]:
    """Hashes of four words as 32 bytes each."""
    return np.ascontiguousarray(words).view(np.uint8).reshape(-1, 32)
