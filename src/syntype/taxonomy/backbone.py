"""A backbone that was indexed: which names it has, what they stand for, and what is above them.

Only what is asked for is read. Accepted names and lineages are followed through the backbone as it
is: a chain of synonyms is followed to its end; where it leads in a circle, or to a name that is not
there, the name counts as its own; parents that are not there end a lineage.
"""

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from syntype.errors import DataNotFoundError
from syntype.taxonomy.backbone_index import Facts, read_facts
from syntype.taxonomy.spelling import without_one
from syntype.taxonomy.taxon import HYBRID_SIGN, NOWHERE, RANKS, Lineage

_COLUMNS = "taxon_id, parent, accepted, name, authorship, rank, status, higher, key"
_SPECIES, _GENUS = RANKS.index("species"), RANKS.index("genus")
_BELOW_SPECIES = frozenset(
    {"subspecies", "variety", "subvariety", "form", "subform", "infraspecific name"}
    | {"infrasubspecific name", "pathovar", "morph", "aberration", "cultivar", "forma"}
)
_KEPT = 200_000
_GENERA_KEPT = 300


class Found(NamedTuple):
    """A row of the index."""

    taxon_id: str
    parent: str
    accepted: str
    name: str
    authorship: str
    rank: str
    status: str
    higher: int
    key: str

    @property
    def is_synonym(self) -> bool:
        """Whether another name is the accepted one."""
        return bool(self.accepted)


class Backbone:
    """An open index; close it, or use it in a `with`.

    Args:
        path: As `build_backbone` wrote it.

    Raises:
        DataNotFoundError: There is no file.
        DataError: It is no index.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise DataNotFoundError(
                f"{path} is not there. Make it from a download: "
                "syntype data backbone DOWNLOAD --out backbone.sqlite"
            )
        self.path = path
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        self._database = sqlite3.connect(uri, uri=True)
        try:
            self.facts: Facts = read_facts(self._database, path)
        except BaseException:
            self._database.close()
            raise
        self._database.execute("PRAGMA mmap_size = 1073741824")
        self._lineages: dict[str, Lineage] = {}
        self._genera: OrderedDict[str, tuple[tuple[str, ...], ...]] = OrderedDict()
        columns = ", ".join(f'"{rank}"' for rank in RANKS[:5])
        self._higher = {
            int(number): tuple(names)
            for number, *names in self._database.execute(f"SELECT number, {columns} FROM higher")
        }

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> "Backbone":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def left_out(self) -> list[tuple[int, str, str]]:
        """Line, name or id, and reason of each row of the download that is not in the index."""
        query = "SELECT line, what, reason FROM left_out ORDER BY line"
        return [(int(line), what, reason) for line, what, reason in self._database.execute(query)]

    def named(self, key: str) -> list[Found]:
        """All usages of a name, by its `ParsedName.key`, in the order of the alphabet of ids."""
        query = f"SELECT {_COLUMNS} FROM usage WHERE key = ? ORDER BY taxon_id"
        return [Found(*row) for row in self._database.execute(query, (key,))]

    def by_id(self, taxon_id: str) -> Found | None:
        """The usage with an id, None where there is none."""
        query = f"SELECT {_COLUMNS} FROM usage WHERE taxon_id = ?"
        row = self._database.execute(query, (taxon_id,)).fetchone()
        return Found(*row) if row else None

    def in_genus(self, genus: str) -> tuple[tuple[str, ...], ...]:
        """The words of all names of more than one word that begin with the folded `genus`."""
        if genus in self._genera:
            self._genera.move_to_end(genus)
            return self._genera[genus]
        # "!" is the sign after the blank, so this is all that begins with genus and blank.
        query = "SELECT DISTINCT key FROM usage WHERE key >= ? AND key < ? ORDER BY key"
        rows = self._database.execute(query, (f"{genus} ", f"{genus}!"))
        found = tuple(tuple(key.split(" ")) for (key,) in rows)
        self._genera[genus] = found
        if len(self._genera) > _GENERA_KEPT:
            self._genera.popitem(last=False)
        return found

    def with_epithet(self, epithet: str, initial: str = "") -> list[tuple[str, ...]]:
        """The words of all names whose second word is `epithet`, under genera with an initial."""
        query = "SELECT DISTINCT key FROM usage WHERE epithet = ? AND epithet <> ''"
        parts = [epithet]
        if initial:
            query += " AND key >= ? AND key < ?"
            parts += [initial, chr(ord(initial) + 1)]
        rows = self._database.execute(f"{query} ORDER BY key", parts)
        return [tuple(key.split(" ")) for (key,) in rows]

    def near(self, word: str) -> list[str]:
        """First words of names that are spelled nearly like `word`: all that are one error off."""
        found: set[str] = set()
        for part in without_one(word):
            rows = self._database.execute("SELECT word FROM near WHERE part = ?", (part,))
            found.update(name for (name,) in rows)
        return sorted(found)

    def accepted(self, usage: Found) -> Found:
        """The accepted usage that a usage stands for, itself where it is accepted.

        Synonyms of synonyms are followed. Those that end nowhere stand for the last that is there,
        those that lead in a circle for themselves.
        """
        seen = {usage.taxon_id}
        at = usage
        while at.accepted:
            following = self.by_id(at.accepted)
            if following is None:
                return at
            if following.taxon_id in seen:
                return usage
            seen.add(following.taxon_id)
            at = following
        return at

    def lineage(self, usage: Found) -> Lineage:
        """The names at the seven ranks of the accepted usage behind `usage`."""
        start = self.accepted(usage)
        above: list[Found] = []
        seen: set[str] = set()
        at: Found | None = start
        known = NOWHERE
        while at is not None and at.taxon_id not in seen:
            if at.taxon_id in self._lineages:
                known = self._lineages[at.taxon_id]
                break
            seen.add(at.taxon_id)
            above.append(at)
            # A parent that became a synonym is followed to where it went.
            up = at.parent or (at.accepted if at is not start else "")
            at = self.by_id(up) if up else None
        for each in reversed(above):
            known = self._below(known, each)
            if len(self._lineages) >= _KEPT:
                self._lineages.clear()
            # What is at species or below is seldom asked for twice.
            if each is not start:
                self._lineages[each.taxon_id] = known
        return known

    def _below(self, above: Lineage, usage: Found) -> Lineage:
        """The lineage of a usage, by that of its parent and what its own row says."""
        names = list(above)
        for place, name in enumerate(self._higher.get(usage.higher, ())):
            names[place] = names[place] or name
        below = usage.rank in _BELOW_SPECIES
        if usage.rank in RANKS:
            place = RANKS.index(usage.rank)
            names[place] = usage.name
            names[place + 1 :] = [""] * (len(RANKS) - place - 1)
        words = [word for word in usage.name.split(" ") if word != HYBRID_SIGN]
        # Where a parent is missing, the name itself tells genus and species.
        if not names[_GENUS] and len(words) == 2 and usage.rank == "species":
            names[_GENUS] = words[0]
        if below and len(words) > 2:
            names[_GENUS] = names[_GENUS] or words[0]
            names[_SPECIES] = names[_SPECIES] or " ".join(words[:2])
        return _lineage(names)


def _lineage(names: Iterable[str]) -> Lineage:
    kingdom, phylum, class_, order, family, genus, species = names
    return (kingdom, phylum, class_, order, family, genus, species)
