"""What a large published set is, and what its reader is asked for."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from syntype.data.dataset import Card
from syntype.data.raw import Raw
from syntype.errors import DataNotFoundError
from syntype.progress import SILENT, Progress
from syntype.taxonomy.taxon import RANKS

LISTED = 100_000
"""Rows left out that are named; beyond them they are counted. A partial download leaves out
millions for one reason, and a list of them would be larger than the set."""
OTHER_PART = "of another part"
NO_VALUE = (
    "nan", "NaN", "-nan", "-NaN", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None",
)  # fmt: skip
"""What `syntype.taxonomy.cleaning.missing` takes for no label."""
_NO_VALUE = pa.array(NO_VALUE, pa.string())


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a reader is asked for.

    Attributes:
        home: The folder of the set.
        part: Which part, one of the set's.
        name: The set's name, which begins every id.
        work: Folder for what is made on the way: indices of archives, tables that rows are joined
            by.
        progress: Where to say how far it is.
    """

    home: Path
    part: str
    name: str
    work: Path
    progress: Progress = SILENT


@dataclass(frozen=True, kw_only=True)
class Collection:
    """A large published set.

    Attributes:
        name: What stands before the colon in `syntype data import NAME:FOLDER`.
        title: Its name in print, and what it is.
        source: The page that leads to it.
        license: The terms, as its page states them.
        citation: How to cite it.
        get: How to have it, in one clause.
        layout: What is looked for in the folder, a line each.
        parts: What `#PART` can choose, and what it is; the first is the default.
        unconfirmed: What of this could not be checked against a published page.
        read: The reader. It raises DataNotFoundError, DataError or ResourceError.
    """

    name: str
    title: str
    source: str
    license: str
    citation: str
    get: str
    layout: Sequence[str]
    parts: Mapping[str, str]
    unconfirmed: str
    read: Callable[[Request], Raw]

    @property
    def usage(self) -> str:
        """How the command line names it, for example `biotrove:FOLDER[#train|unseen]`."""
        parts = "|".join(part for part in self.parts if part)
        return f"{self.name}:FOLDER" + (f"[#{parts}]" if parts else "")

    def card(self, name: str) -> Card:
        """The card of the set under a name."""
        return Card(name=name, source=self.source, license=self.license, citation=self.citation)

    def absent(self, path: Path, what: str) -> DataNotFoundError:
        """The error for a folder in which what is needed is not there.

        Args:
            path: The folder that the user named.
            what: What is wrong with it, a clause.
        """
        layout = "\n".join(f"    {line}" for line in self.layout)
        return DataNotFoundError(
            f"{path} cannot be read as {self.title}: {what}. Get it from {self.source} "
            f"({self.get}; terms: {self.license}), lay it out as below and import it with syntype "
            f"data import {self.usage} --out CATALOGUE.\n{layout}"
        )


@dataclass
class Account:
    """Every row of a set: how many were read, taken, and left out for which reason.

    Attributes:
        left_out: Id and reason, the first hundred thousand.
        notes: `rows` with all counts, and whatever else a reader has to say.
        n_read: Rows that were read.
        reasons: How many rows were left out for each reason.
    """

    left_out: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    n_read: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    _taken: int = 0

    def leave(self, ids: Iterable[str], reason: str) -> None:
        """Leave rows out, by name."""
        for id_ in ids:
            self.reasons[reason] += 1
            if len(self.left_out) < LISTED:
                self.left_out.append((id_, reason))

    def pass_over(self, n_rows: int, reason: str) -> None:
        """Leave rows out that nobody asked for: they are counted and not named."""
        if n_rows:
            self.reasons[reason] += n_rows

    def read(self, n_rows: int = 1) -> None:
        """Rows were read."""
        self.n_read += n_rows

    def raw(self, collection: Collection, request: Request, tables: Iterator[pa.Table]) -> Raw:
        """What the reader hands over; the account is written into its notes at the end."""
        return Raw(
            card=collection.card(request.name),
            root=request.home,
            tables=self._counted(tables),
            left_out=self.left_out,
            notes=self.notes,
        )

    def _counted(self, tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            self._taken += table.num_rows
            if table.num_rows:
                yield table
        self.notes["rows"] = {
            "read": self.n_read,
            "taken": self._taken,
            "leftOut": dict(sorted(self.reasons.items())),
        }


def known(column: pa.ChunkedArray, words: Mapping[str, str] | None = None) -> pa.Array:
    """A column of text, with "" for the words that tables write for "no value".

    Args:
        column: Text, or what can be cast to it.
        words: What else is to become what.
    """
    text = column.combine_chunks()
    text = (text if text.type == pa.string() else text.cast(pa.string())).fill_null("")
    text = pc.if_else(pc.is_in(text, value_set=_NO_VALUE), "", text)
    for word, other in (words or {}).items():
        text = pc.if_else(pc.equal(text, word), other, text)
    return text


def with_name(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Columns of ranks, with the name of each row and its rank.

    Args:
        columns: The seven ranks, "" where unknown; `species` is the epithet alone, or the whole
            binomial.

    Returns:
        `verbatimIdentification`, the binomial, or the name at the lowest rank that is known;
        `taxonRank`; and the ranks down to the genus. The species is left to the cleaning of names.
    """
    pairs = zip(columns["genus"].to_pylist(), columns["species"].to_pylist(), strict=True)
    name = pa.array([_binomial(genus, species) for genus, species in pairs], pa.string())
    rank = pc.if_else(pc.equal(name, ""), "", "species")
    for place in reversed(RANKS[:-1]):
        lowest = pc.and_(pc.equal(name, ""), pc.not_equal(columns[place], ""))
        name = pc.if_else(lowest, columns[place], name)
        rank = pc.if_else(lowest, place, rank)
    ranks = {place: columns[place] for place in RANKS[:-1]}
    return {**ranks, "verbatimIdentification": name, "taxonRank": rank}


def _binomial(genus: str, species: str) -> str:
    """The species with its genus before it, unless it stands there already."""
    if not species or not genus or species == genus or species.startswith(f"{genus} "):
        return species
    return f"{genus} {species}"
