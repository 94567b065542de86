"""How alike two spellings of a name are: folded letters, endings of epithets, typing errors.

A typing error is one letter too many, one too few, one instead of another, or two neighbours that
changed places; the distance is their number where no letter is touched twice (restricted
Damerau-Levenshtein distance, "optimal string alignment").

The endings follow the codes: an adjective agrees with the gender of its genus (alba, albus,
album), and a genitive was often written with one i or with two (smithi, smithii).
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_LETTERS = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "đ": "d", "ł": "l", "ı": "i", "þ": "th", "ð": "d"}
)
_ENDINGS: tuple[tuple[str, ...], ...] = (
    ("us", "a", "um"),
    ("is", "e"),
    ("er", "ra", "rum"),
    ("ior", "ius"),
    ("i", "ii"),
    ("ae", "iae"),
    ("orum", "iorum"),
    ("arum", "iarum"),
)
_SHORTEST_STEM = 2


def fold(text: str) -> str:
    """`text` in small letters without accents, ligatures or what else typing loses."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


@lru_cache(maxsize=100_000)
def stems(epithet: str) -> frozenset[tuple[int, str]]:
    """What is left of a folded epithet without each ending that it may have."""
    whole = epithet.replace("-", "")
    found = {(-1, whole)}
    for number, endings in enumerate(_ENDINGS):
        for ending in endings:
            stem = whole.removesuffix(ending)
            if stem != whole and len(stem) >= _SHORTEST_STEM:
                found.add((number, stem))
    return frozenset(found)


def same_but_endings(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether folded names, as words, have one genus and epithets that differ in ending at most.

    A hyphen more or less is no difference either.
    """
    return (
        len(first) == len(second)
        and first[:1] == second[:1]
        and all(stems(one) & stems(two) for one, two in zip(first[1:], second[1:], strict=True))
    )


def allowed_errors(length: int, shortest: int = 5) -> int:
    """The typing errors that a word of `length` letters may have and still be told from others.

    None below `shortest` letters, one below `shortest` + 3, then two.
    """
    return 0 if length < shortest else 1 if length < shortest + 3 else 2


def distance(first: str, second: str, limit: int) -> int:
    """The typing errors between two words, or `limit` + 1 where there are more than `limit`."""
    if first == second:
        return 0
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        older, before, row = before, row, [i]
        for j, other in enumerate(second, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit and min(before) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def letters(word: str) -> int:
    """The letters that a word has, as bits; each typing error changes two of them at most."""
    bits = 0
    for sign in word:
        bits |= 1 << (ord(sign) & 63)
    return bits


def without_one(word: str) -> frozenset[str]:
    """`word` and all that is left of it without one of its letters.

    Words that share one of these are at most two errors apart, and all that are one error apart
    share one: so an index of them finds typing errors without looking at every word (the
    deletion neighbourhood).
    """
    return frozenset([word, *(word[:i] + word[i + 1 :] for i in range(len(word)))])


def likeness(first: Sequence[str], second: Sequence[str], shortest: int = 5) -> float:
    """How alike two folded names are, as words: 1 the same, 0 more errors than are allowed.

    The product over the words of 1 - errors / letters of the longer word.
    """
    if len(first) != len(second):
        return 0.0
    score = 1.0
    for one, two in zip(first, second, strict=True):
        if one == two:
            continue
        limit = allowed_errors(min(len(one), len(two)), shortest)
        if not limit or (letters(one) ^ letters(two)).bit_count() > 2 * limit:
            return 0.0
        errors = distance(one, two, limit)
        if errors > limit:
            return 0.0
        score *= 1 - errors / max(len(one), len(two))
    return score
