"""How TreeOfLife-10M cleans names.

The published catalogue was cleaned by these rules already, but for the one that is called
`predicted-catalog.csv`; here they are applied to whatever the catalogue says, once for each
distinct taxon, and counted. They are those of BioCLIP's `naming_reproduce.py` (Stevens et al.
2024), as facts:

    tags            <i>...</i> and the like go
    unknown         (unidentified), unknown, pleasehelp are no names, nor is nan
    kingdom         Metazoa is Animalia; Archaeplastida and Chloroplastida are Plantae
    behind_name     the epithet ends before a parenthesis, ssp., subsp., var., authors, a year, an
                    initial, or a line break
    genus_twice     a genus that the epithet begins with goes; it is the genus where there is none
    epithet_twice   `cinclus cinclus` is `cinclus`
    letter_case     ranks begin with a capital, the epithet is small

They are rough: ` x.` is an initial wherever it stands, and a subspecies of the same name goes. What
is cut here is still in `verbatimIdentification` as it was delivered.
"""

import re
from collections import Counter
from collections.abc import Mapping

import pyarrow as pa

from syntype.taxonomy.cleaning import missing
from syntype.taxonomy.taxon import RANKS

_TAG = re.compile(r"<[^<>]*?>([^<>]*)</[^<>]*>")
_UNKNOWN = frozenset(["(unidentified)", "unknown", "pleasehelp"])
_KINGDOMS = {"metazoa": "animalia", "archaeplastida": "plantae", "chloroplastida": "plantae"}
_END = tuple(
    re.compile(pattern)
    for pattern in (
        r"\(", r"ssp\.", r"subsp\.", r"var\.",  # what is below the species
        r"\w+, \w+ & \w+", r"\w+ & \w+",  # authors
        r"\w+ \d{4}", r"\w+, \d{4}", r"\d{4}",  # with a year
        r" [A-Za-z]\.", r"<br ?>",
    )
)  # fmt: skip
_MOST = 500_000  # distinct taxa that are remembered; there are 454,103
Names = tuple[str, ...]
"""One name for each of the seven ranks; the species is the epithet."""


def clean_ranks(delivered: Names) -> tuple[Names, tuple[str, ...]]:
    """The seven ranks of a row as published, and which rules changed them.

    Args:
        delivered: The ranks, "" where unknown; the species is the epithet.
    """
    did: list[str] = []

    def note(rule: str, before: Names, after: Names) -> Names:
        if before != after:
            did.append(rule)
        return after

    small = tuple(name.lower() for name in delivered)
    plain = note("tags", small, tuple(_without_tags(name) for name in small))
    no_name = [
        name in _UNKNOWN or missing(raw) is None for raw, name in zip(delivered, plain, strict=True)
    ]
    named = tuple("" if no else name for no, name in zip(no_name, plain, strict=True))
    plain = note("unknown", plain, named)
    moved = (_KINGDOMS.get(plain[0], plain[0]), *plain[1:])
    plain = note("kingdom", plain, moved)
    plain = note("behind_name", plain, (*plain[:-1], _cut(plain[-1])))
    plain = note("genus_twice", plain, _one_genus(plain))
    words = plain[-1].split()
    if len(words) == 2 and words[0] == words[1]:
        plain = note("epithet_twice", plain, (*plain[:-1], words[0]))
    cased = (*(name.capitalize() for name in plain[:-1]), plain[-1])
    if not did and cased != delivered:
        did.append("letter_case")
    return cased, tuple(did)


def _without_tags(name: str) -> str:
    while "<" in name and (inner := _TAG.sub(r"\1", name)) != name:
        name = inner
    return name


def _cut(species: str) -> str:
    species = species.strip()
    for pattern in _END:
        if found := pattern.search(species):
            species = species[: found.start()].strip()
    return species


def _one_genus(names: Names) -> Names:
    genus, species = names[-2:]
    first, _, rest = species.partition(" ")
    if not rest or genus not in ("", first):
        return names
    return (*names[:-2], first, rest.strip())


class Cleaner:
    """Cleans rows, each distinct taxon once, and counts.

    Attributes:
        did: For each rule, the rows that it changed.
    """

    def __init__(self) -> None:
        self.did: Counter[str] = Counter()
        self._known: dict[Names, tuple[Names, tuple[str, ...]]] = {}

    def columns(self, columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """The seven ranks of rows.

        Args:
            columns: The ranks as delivered.
        """
        rows = list(zip(*(columns[rank].to_pylist() for rank in RANKS), strict=True))
        counts = Counter(rows)
        if len(self._known) > _MOST:
            self._known = {}
        number: dict[Names, int] = {}
        distinct: list[Names] = []
        for row, n_rows in counts.items():
            if row not in self._known:
                self._known[row] = clean_ranks(row)
            cleaned, rules = self._known[row]
            for rule in rules:
                self.did[rule] += n_rows
            number[row] = len(distinct)
            distinct.append(cleaned)
        places = pa.array([number[row] for row in rows], pa.int32())
        return {
            rank: pa.array([names[place] for names in distinct], pa.string()).take(places)
            for place, rank in enumerate(RANKS)
        }
