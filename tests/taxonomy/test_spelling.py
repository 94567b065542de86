import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.taxonomy.authors import same_authorship
from syntype.taxonomy.spelling import (
    allowed_errors,
    distance,
    fold,
    letters,
    likeness,
    same_but_endings,
    without_one,
)

WORDS = st.text(alphabet="abcd", max_size=7)


def naive(first: str, second: str) -> int:
    """The restricted Damerau-Levenshtein distance by its recursion."""

    def at(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        best = min(
            at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        )
        if i > 1 and j > 1 and first[i - 1] == second[j - 2] and first[i - 2] == second[j - 1]:
            best = min(best, at(i - 2, j - 2) + 1)
        return best

    return at(len(first), len(second))


@given(st.text(alphabet="abc", max_size=5), st.text(alphabet="abc", max_size=5))
def test_distance_is_the_naive_one_up_to_its_limit(first: str, second: str) -> None:
    true = naive(first, second)
    for limit in range(4):
        assert distance(first, second, limit) == min(true, limit + 1)


@given(WORDS, WORDS)
def test_each_error_changes_two_letters_at_most(first: str, second: str) -> None:
    errors = distance(first, second, 10)
    assert (letters(first) ^ letters(second)).bit_count() <= 2 * errors


@given(WORDS, WORDS)
def test_words_one_error_apart_share_a_part(first: str, second: str) -> None:
    if distance(first, second, 1) <= 1:
        assert without_one(first) & without_one(second)


def test_likeness_counts_errors_by_the_letters_of_each_word() -> None:
    assert likeness(["parus", "major"], ["parus", "major"]) == 1
    assert likeness(["parus", "caeruleus"], ["parus", "caerulus"]) == pytest.approx(8 / 9)
    assert likeness(["oenanthe", "crocata"], ["oenante", "crocatta"]) == pytest.approx(
        7 / 8 * 7 / 8
    )
    assert likeness(["parus", "alba"], ["parus", "alta"]) == 0, "too short to tell"
    assert likeness(["parus"], ["parus", "major"]) == 0
    assert [allowed_errors(n) for n in (4, 5, 7, 8)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("aus albus", "aus alba", True),
        ("aus album", "aus alba", True),
        ("aus viridis", "aus viride", True),
        ("aus niger", "aus nigra", True),
        ("aus smithi", "aus smithii", True),
        ("aus smithae", "aus smithiae", True),
        ("aus novaeangliae", "aus novae-angliae", True),
        ("aus albus cus", "aus alba cus", True),
        ("aus albus", "bus alba", False),
        ("aus albus", "aus altus", False),
        ("aus smithi", "aus smithae", False),
        ("aus us", "aus a", False),
        ("aus albus", "aus alba alba", False),
    ],
)
def test_endings(first: str, second: str, same: bool) -> None:
    assert same_but_endings(first.split(), second.split()) is same
    assert same_but_endings(second.split(), first.split()) is same


def test_fold() -> None:
    assert fold("Isoëtes Ærøskøbing Straße") == "isoetes aeroskobing strasse"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("L.", "Linnaeus", True),
        ("Linnaeus, 1758", "(Linnaeus, 1758)", True),
        ("Linné, 1758", "Linnaeus, 1758", False),
        ("Linnaeus, 1758", "Linnaeus, 1766", False),
        ("(L.) Mill.", "(Linnaeus) Miller", True),
        ("(L.) Mill.", "Mill.", True),
        ("(L.) Mill.", "(Host) Mill.", False),
        ("(L.) Mill.", "(L.) Host", False),
        ("A.B.Smith", "A. B. Smith", True),
        ("Smith & Jones, 1900", "Smith and Jones 1900", True),
        ("Coss. ex Batt.", "Batt.", True),
        ("Hook.", "Hook.f.", False),
        ("Müller", "Muller", True),
        ("", "L.", None),
        ("L.", "", None),
        ("1758", "Linnaeus", None),
    ],
)
def test_authorships(first: str, second: str, same: bool | None) -> None:
    assert same_authorship(first, second) is same
    assert same_authorship(second, first) is same


@given(st.text(max_size=30), st.text(max_size=30))
def test_authorships_agree_both_ways(first: str, second: str) -> None:
    assert same_authorship(first, second) == same_authorship(second, first)
    assert same_authorship(first, first) in {True, None}
