"""What a curation did, as numbers and tables for people.

A table here is (title, header, rows), as `syntype.terminal.show_table` draws it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from syntype.data.curation.measuring import ELSEWHERE, OTHER, PICTURE
from syntype.data.curation.rows import SPLITS, Rows
from syntype.data.curation.rules import KEPT, VERDICTS, Decisions
from syntype.data.curation.tail import LongTail, long_tail

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]

_MOST_GROUPS = 30


@dataclass(frozen=True, kw_only=True)
class Curation:
    """What became of the rows of a catalogue.

    Attributes:
        folder: The new catalogue; `curation.parquet` and `species.parquet` lie in it.
        counts: Verdict, split and taxon group to the number of such rows.
        tail: The long tail before and after.
        n_elsewhere: Rows whose medium is not here, and was not looked at.
        n_other: Rows whose medium is no picture, and was not looked at.
        n_flat: Pictures that stay and are too flat for a perceptual hash.
        n_mixed: Rows that are a copy or a near copy of one under another species.
    """

    folder: Path
    counts: Mapping[tuple[str, str, str], int]
    tail: LongTail
    n_elsewhere: int
    n_other: int
    n_flat: int
    n_mixed: int

    @property
    def n_in(self) -> int:
        """Rows of the catalogue that was curated."""
        return sum(self.counts.values())

    @property
    def n_out(self) -> int:
        """Rows that stay."""
        return sum(n for (verdict, _, _), n in self.counts.items() if verdict == VERDICTS[KEPT])

    def by(self, *columns: int) -> dict[tuple[str, ...], int]:
        """Rows by some of verdict (0), split (1) and group (2)."""
        found: Counter[tuple[str, ...]] = Counter()
        for key, n in self.counts.items():
            found[tuple(key[column] for column in columns)] += n
        return dict(found)

    def as_json(self) -> dict[str, Any]:
        """All numbers, plain JSON types."""
        verdicts = [verdict for verdict in VERDICTS if (verdict,) in self.by(0)]
        return {
            "rowsIn": self.n_in,
            "rowsOut": self.n_out,
            "verdicts": {verdict: self.by(0)[verdict,] for verdict in verdicts},
            "bySplit": _nested(self.by(1, 0)),
            "byGroup": _nested(self.by(2, 0)),
            "mediaElsewhere": self.n_elsewhere,
            "mediaNoPictures": self.n_other,
            "tooFlatToCompare": self.n_flat,
            "mixedLabels": self.n_mixed,
            "longTail": self.tail.as_json(),
        }

    def tables(self) -> list[Table]:
        """What went and why, by split and by group, and the long tail."""
        return [self._reasons(), self._groups(), self._tail()]

    def _reasons(self) -> Table:
        of, cells = self.by(0), self.by(0, 1)
        splits = [split for split in SPLITS if any(key[1] == split for key in cells)]
        rows = [
            (
                verdict,
                f"{of[verdict,]:,}",
                f"{100 * of[verdict,] / self.n_in:.2f} %",
                *(f"{cells.get((verdict, split), 0):,}" for split in splits),
            )
            for verdict in VERDICTS
            if (verdict,) in of
        ]
        rows += [
            (what, f"{n:,}", f"{100 * n / max(1, self.n_in):.2f} %", *("" for _ in splits))
            for what, n in (
                ("(medium not here, not looked at)", self.n_elsewhere),
                ("(medium no picture, not looked at)", self.n_other),
                ("(kept, too flat to be compared)", self.n_flat),
                ("(copies under two species)", self.n_mixed),
            )
            if n
        ]
        header = (
            "what became of them",
            "rows",
            "share",
            *(split or "no split" for split in splits),
        )
        return f"{self.n_in:,} rows, of which {self.n_out:,} stay", header, rows

    def _groups(self) -> Table:
        of, cells = self.by(2), self.by(2, 0)
        gone = [v for v in VERDICTS if v != VERDICTS[KEPT] and (v,) in self.by(0)]
        groups = sorted(of, key=lambda group: (-of[group], group))[:_MOST_GROUPS]
        rows = [
            (
                group or "(none)",
                f"{of[group,]:,}",
                f"{cells.get((group, VERDICTS[KEPT]), 0):,}",
                *(f"{cells.get((group, verdict), 0):,}" for verdict in gone),
            )
            for (group,) in groups
        ]
        title = "By taxon group" + (f", the largest {_MOST_GROUPS}" if len(of) > len(rows) else "")
        return title, ("group", "before", "after", *gone), rows

    def _tail(self) -> Table:
        numbers = self.tail.as_json()
        before, after = numbers["before"], numbers["after"]
        rows = [
            (words, _text(before.get(key)), _text(after.get(key)))
            for key, words in (
                ("species", "species"),
                ("pictures", "pictures with a species"),
                ("withoutSpecies", "pictures without one"),
                ("singletons", "species of one picture"),
                ("median", "pictures a species, median"),
                ("most", "pictures of the commonest"),
                ("shareOfHead", "share of the commonest tenth"),
                ("gini", "Gini coefficient"),
            )
        ]
        title = f"Long tail; {numbers['speciesLost']:,} species have no picture left"
        return title, ("what", "before", "after"), rows


def outcome(rows: Rows, done: Decisions, folder: Path) -> Curation:
    """Count what became of rows."""
    n_groups = len(rows.group_names)
    cell = (done.verdict.astype(np.int64) * len(SPLITS) + rows.split) * n_groups + rows.group
    found, n = np.unique(cell, return_counts=True)
    counts = {
        (
            VERDICTS[code // n_groups // len(SPLITS)],
            SPLITS[code // n_groups % len(SPLITS)],
            rows.group_names[code % n_groups],
        ): count
        for code, count in zip(found.tolist(), n.tolist(), strict=True)
    }
    looked = rows.looked
    return Curation(
        folder=folder,
        counts=counts,
        tail=long_tail(rows.species, done.kept, rows.species_names),
        n_elsewhere=int((looked.kind == ELSEWHERE).sum()),
        n_other=int((looked.kind == OTHER).sum()),
        n_flat=int((done.kept & (looked.kind == PICTURE) & ~looked.hashed).sum()),
        n_mixed=int((done.mixed >= 0).sum()),
    )


def _nested(counts: Mapping[tuple[str, ...], int]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (outer, inner), n in sorted(counts.items()):
        found.setdefault(outer, {})[inner] = n
    return found


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
