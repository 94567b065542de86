"""An answer as a table and sentences, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from syntype.search.answering import Answer, Found
from syntype.search.calibration import Calibration

Table = tuple[str, list[str], list[list[str]]]
"""Title, header and rows."""

_HEADER = ("name", "similarity", "same species", "place", "date", "institution", "id")
_NAMES = ("scientificName", "verbatimIdentification", "vernacularName")
_LONGEST = 60  # letters of a cell


def answer_table(answer: Answer) -> Table:
    """What was found, a row each; groups one after the other, each under its name.

    "same species" is the calibrated probability, where it is known.
    """
    title = f"{_number(answer.total, 'record')} fit"
    if answer.groups is None:
        rows = [_row(f"{rank}. ", one) for rank, one in enumerate(answer.found, start=1)]
        return title, list(_HEADER), rows
    found = {one.record["id"]: one for one in answer.found}
    rows = []
    for rank, group in enumerate(answer.groups, start=1):
        name = clean(group.name) or f"(no {group.rank})"
        heading = f"{rank}. {name}: {len(group.ids)} of {_number(group.n, 'record')}"
        rows.append([heading, *[""] * (len(_HEADER) - 1)])
        rows += [_row("   ", found[id_]) for id_ in group.ids if id_ in found]
    return title, list(_HEADER), rows


def _row(before: str, one: Found) -> list[str]:
    record = one.record
    name = next((record[column] for column in _NAMES if record[column]), "")
    return [
        before + clean(name),
        "" if one.similarity is None else f"{one.similarity:.3f}",
        "" if one.closeness is None else _percent(one.closeness),
        clean(_place(record)),
        clean(record["eventDate"]),
        clean(record["institutionCode"]),
        clean(record["id"], longest=0),
    ]


def _percent(closeness: float) -> str:
    """In words that never say certain."""
    return "<1%" if closeness < 0.01 else ">99%" if closeness > 0.99 else f"{closeness:.0%}"


def _place(record: Mapping[str, Any]) -> str:
    words = [record[name] for name in ("stateProvince", "countryCode") if record[name]]
    north, east = record["decimalLatitude"], record["decimalLongitude"]
    if words or north is None or east is None:
        return ", ".join(words)
    return f"{north:.2f}, {east:.2f}"


def answer_sentences(answer: Answer, calibration: Calibration | None) -> Sequence[str]:
    """What is to be said of an answer beside its records: that nothing is close, how to go on.

    Args:
        answer: What was found.
        calibration: What it was judged by.
    """
    said = []
    if answer.nothing_close and calibration is not None:
        if calibration.form == "none":
            why = (
                "the most similar record is farther than 99 % of the collection's records are from "
                "their own nearest"
            )
        else:
            why = (
                f"even the most similar record is of the same species with a probability of less "
                f"than {calibration.level:.0%}"
            )
            if calibration.error is not None:
                why += f" (such probabilities are off by {calibration.error:.1%} in the mean)"
        said.append(f"Nothing close: {why}.")
    if not answer.found:
        said.append("Nothing was found. Loosen the filters.")
    if answer.next:
        said.append(f"There is more: --after {answer.next}")
    return said


def clean(text: str, longest: int = _LONGEST) -> str:
    """A record's text as a cell: one line, nothing that moves a terminal's cursor, cut if long.

    Args:
        text: Anything.
        longest: Letters; 0 cuts nothing.
    """
    line = "".join(one if one.isprintable() else " " for one in text)
    line = " ".join(line.split())
    return line if not longest or len(line) <= longest else f"{line[: longest - 1]}…"


def _number(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
