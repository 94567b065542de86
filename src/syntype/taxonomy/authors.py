"""Whether two authorships name the same people: Linnaeus and L., (Mill.) Foo and (Miller) Foo.

An authorship is brackets (who first named it) and who stands behind them (who moved it to its
genus); years and people are compared by what both say. Abbreviations agree with what they
abbreviate, initials do not count, and of `A ex B` and `A in B` both sides are people.
"""

import re
from functools import lru_cache

from syntype.taxonomy.spelling import fold

_BRACKETS = re.compile(r"^\s*[\[(]([^()\[\]]*)[\])]?\s*")
_YEAR = re.compile(r"\b(1[5-9]\d\d|20\d\d)")
_PEOPLE = re.compile(r"[^\W\d_]{1,40}(?:['’-][^\W\d_]+)*\.?")
_SON = re.compile(r"\bf(?:il)?\.(?!\s*\w+\.)|\bfilius\b")
_SMALL_WORDS = (
    "ex in et and al de du da di des della la le les van von der den ter zu y e "
    "f fil filius jr sr apud bis hort auct"
)
_PARTICLES = frozenset(_SMALL_WORDS.split())

People = frozenset[str]


@lru_cache(maxsize=100_000)
def _teams(authorship: str) -> tuple[People, People, frozenset[str]]:
    """People in brackets, people behind them, and years."""
    brackets = _BRACKETS.match(authorship)
    first = brackets[1] if brackets else ""
    second = authorship[brackets.end() :] if brackets else authorship
    years = frozenset(_YEAR.findall(authorship))
    return _people(first), _people(second), years


def _people(text: str) -> People:
    """Folded surnames or their abbreviations; initials only where there is nothing else."""
    # Initials stand against the name that they belong to: A.B.Smith is A. B. Smith.
    words = [fold(word).rstrip(".") for word in _PEOPLE.findall(text.replace(".", ". "))]
    words = [word for word in words if word not in _PARTICLES]
    surnames = [word for word in words if len(word) > 1]
    return frozenset(surnames or words)


def _agree(first: People, second: People) -> bool:
    """Whether one person of the first is, or abbreviates, one of the second."""
    return any(one.startswith(two) or two.startswith(one) for one in first for two in second)


def same_authorship(first: str, second: str) -> bool | None:
    """Whether two authorships are one; None where one of them is empty or says too little.

    Args:
        first: As delivered.
        second: As in the backbone.
    """
    basis, movers, years = _teams(first)
    other_basis, other_movers, other_years = _teams(second)
    if years and other_years and not years & other_years:
        return False
    if not (basis or movers) or not (other_basis or other_movers):
        return None
    if bool(_SON.search(first)) != bool(_SON.search(second)):
        return False
    # Brackets are often forgotten or added: alone, they are compared as people.
    if not movers:
        return _agree(basis, other_basis or other_movers)
    if not other_movers:
        return _agree(basis or movers, other_basis)
    if basis and other_basis and not _agree(basis, other_basis):
        return False
    return _agree(movers, other_movers)
