"""Labels as delivered become names, by named rules in a stated order, with a count after each.

Published label columns hold several spellings of one class, and each counts as a species of its
own in every score. Which rule merges how many is part of a result: on the published lists of
VLM4Bio the numbers of distinct labels are 743 as delivered (NaN and a blank counted), 742 without
NaN, 741 without the blank, 738 after white space, 737 after letter case.

    missing       no label, or a word that tables write for one (nan, NULL, N/A ...)
    unicode       composed letters (NFC), one kind of blank and of hyphen, nothing invisible
    blank         nothing but white space
    white_space   none at the ends, one blank between words
    underscores   Genus_species, as folders are called, gets its blanks; other_names keep theirs
    hybrid_sign   a lone × or X between names becomes x
    authorship    (Linnaeus, 1758) behind a name goes; authors without a year stay: they cannot be
                  told from other words
    letter_case   cyprinella whipplei joins Cyprinella whipplei, if the set has the genus

Every rule but the last is a function of one label. The last needs to know the genera of the set,
since letter case alone cannot tell a species from a common name. All work is done once for each
distinct label, so millions of rows cost little more than hundreds.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syntype.taxonomy.taxon import (
    HYBRID_SIGN,
    Taxon,
    genus_of,
    is_binomial,
    is_epithet,
    is_genus_word,
)

# What pandas reads as "no value", which is how most published tables were written.
_MISSING_WORDS = frozenset(
    ["", "nan", "NaN", "-nan", "-NaN", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "None"]
)
_HYPHENS = str.maketrans({"\u2010": "-", "\u2011": "-"})
_BLANKS = frozenset(["Zs", "Zl", "Zp", "Cc"])
_WORD = r"[a-zà-öø-ÿ-]+"
_UNDERSCORED = re.compile(rf"[A-Z]{_WORD}(?:_x(?=_)|_{_WORD}\.?|(?<=_x)_[A-Z]{_WORD})+")
_AUTHOR = r"[^\W\d_][^\d_]*, ?(?:1[5-9]|20)\d\d[a-z]?"
# An author behind a name starts with a capital, or with a small particle.
_START = r"(?=[^\W\d_a-zà-ÿ]|(?:d[aeiu]|l[ae]|v[ao]n) |d['’])"
_AUTHORSHIP = re.compile(rf"(?P<name>.*?) (?:\({_AUTHOR}\)|{_START}{_AUTHOR})")


def missing(label: str) -> str | None:
    """None for words that stand for "no label"."""
    return None if label in _MISSING_WORDS else label


def unicode(label: str) -> str:
    """Composed letters, ordinary blanks and hyphens, no invisible characters."""
    kept = (
        " " if unicodedata.category(sign) in _BLANKS else sign
        for sign in unicodedata.normalize("NFC", label).translate(_HYPHENS)
        if unicodedata.category(sign) != "Cf"
    )
    return "".join(kept)


def blank(label: str) -> str | None:
    """None for labels that are nothing but white space."""
    return label if label.strip() else None


def white_space(label: str) -> str:
    """No white space at the ends, one blank between words."""
    return " ".join(label.split())


def underscores(label: str) -> str:
    """Blanks for the underscores of labels formed like Genus_species or Genus_species_x_..."""
    return label.replace("_", " ") if _UNDERSCORED.fullmatch(label) else label


def hybrid_sign(label: str) -> str:
    """A lone x for a lone × or X between words."""
    words = label.split(" ")
    inner = [HYBRID_SIGN if word in {"×", "X"} else word for word in words[1:-1]]
    return " ".join([words[0], *inner, *words[1:][-1:]])


def authorship(label: str) -> str:
    """The name without "Author, year" or "(Author, year)" behind a binomial or trinomial."""
    found = _AUTHORSHIP.fullmatch(label)
    return found["name"] if found and genus_of(found["name"]) else label


def letter_case(label: str, genera: Collection[str]) -> str:
    """The scientific letter case, if the first word is then one of `genera`."""
    cased = label.lower().split(" ")
    for index, word in enumerate(cased):
        starts_name = index == 0 or cased[index - 1] == HYBRID_SIGN
        if starts_name and word.capitalize() in genera:
            cased[index] = word.capitalize()
    scientific = all(map(_is_scientific_word, cased[1:]))
    return " ".join(cased) if cased[0] in genera and scientific else label


def _is_scientific_word(word: str) -> bool:
    return is_epithet(word) or is_genus_word(word) or word == HYBRID_SIGN or word.endswith(".")


RULES: tuple[Callable[[str], str | None], ...] = (
    missing,
    unicode,
    blank,
    white_space,
    underscores,
    hybrid_sign,
    authorship,
)
"""The rules that look at one label, in the order in which they are applied; `letter_case` ends."""


@dataclass(frozen=True)
class CleaningReport:
    """What cleaning did.

    Attributes:
        steps: The number of distinct labels as delivered ("published": no label counts as one),
            and after each rule.
        changed: Each label that cleaning changed, and what it became.
        rows_missing: Rows without a label.
        rows_blank: Rows whose label is nothing but white space.
        no_binomial: Names that are no binomial: genera, families, hybrids, other classes.
    """

    steps: tuple[tuple[str, int], ...]
    changed: Mapping[str, str]
    rows_missing: int
    rows_blank: int
    no_binomial: tuple[str, ...]

    def notes(self) -> dict[str, Any]:
        """The report as plain JSON types, under the keys that `syntype data info` prints."""
        return {
            "steps": [list(step) for step in self.steps],
            "changed": dict(self.changed),
            "rowsMissing": self.rows_missing,
            "rowsBlank": self.rows_blank,
            "noBinomial": list(self.no_binomial),
        }


def known_genera(names: Iterable[str]) -> frozenset[str]:
    """The genera of those `names` that are properly written scientific names."""
    return frozenset(genus for name in names if (genus := genus_of(name)))


def clean_labels(labels: Sequence[str | None]) -> tuple[list[Taxon | None], CleaningReport]:
    """Clean a column of labels.

    Args:
        labels: The labels as delivered, None where there is none.

    Returns:
        For each label its taxon, None where the label is missing or blank; and the report.
    """
    taxa, report = clean_distinct(Counter(labels))
    return [taxa[label] for label in labels], report


def clean_distinct(
    rows: Mapping[str | None, int],
) -> tuple[dict[str | None, Taxon | None], CleaningReport]:
    """Clean labels that were counted already, as `clean_labels` does a column.

    Args:
        rows: Each label as delivered, None for none, and how many rows have it.

    Returns:
        For each label its taxon, None where the label is missing or blank; and the report.
    """
    names: dict[str | None, str | None] = {label: label for label in rows}
    steps = [("published", len(rows.keys() - _MISSING_WORDS - {None}) + _has_missing(rows))]
    gone = {}
    for rule in RULES:
        names = {label: name and rule(name) for label, name in names.items()}
        names = {label: name or None for label, name in names.items()}
        steps.append((rule.__name__, len(set(names.values()) - {None})))
        gone[rule] = sum(rows[label] for label, name in names.items() if name is None)
    genera = known_genera(name for name in names.values() if name)
    names = {label: name and letter_case(name, genera) for label, name in names.items()}
    cleaned = {name for name in names.values() if name}
    steps.append((letter_case.__name__, len(cleaned)))
    taxa: dict[str | None, Taxon | None] = {
        label: Taxon.from_name(label, name, genera) if label and name else None
        for label, name in names.items()
    }
    report = CleaningReport(
        steps=tuple(steps),
        changed={a: b for a, b in _sorted_pairs(names) if a != b},
        rows_missing=gone[missing],
        rows_blank=gone[blank] - gone[missing],
        no_binomial=tuple(sorted(name for name in cleaned if not is_binomial(name))),
    )
    return taxa, report


def _has_missing(labels: Collection[str | None]) -> int:
    return int(any(label is None or label in _MISSING_WORDS for label in labels))


def _sorted_pairs(names: Mapping[str | None, str | None]) -> list[tuple[str, str]]:
    """The labels that have a name, with it, in alphabetical order."""
    return sorted((label, name) for label, name in names.items() if label and name)
