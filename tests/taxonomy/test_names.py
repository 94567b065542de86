import pytest
from hypothesis import given
from hypothesis import strategies as st

from syntype.taxonomy.names import ParsedName, parse, rank_of_ending


@pytest.mark.parametrize(
    ("text", "canonical", "authorship", "rank"),
    [
        ("Parus major", "Parus major", "", "species"),
        ("Parus major Linnaeus, 1758", "Parus major", "Linnaeus, 1758", "species"),
        ("Puma concolor (Linnaeus, 1771)", "Puma concolor", "(Linnaeus, 1771)", "species"),
        ("Carex nigra (L.) Reichard", "Carex nigra", "(L.) Reichard", "species"),
        (
            "Astragalus bourgaeanus Coss. ex Batt. & Trab.",
            "Astragalus bourgaeanus",
            "Coss. ex Batt. & Trab.",
            "species",
        ),
        (
            "Aus bus van der Linden et al., 1999",
            "Aus bus",
            "van der Linden et al., 1999",
            "species",
        ),
        ("Aus bus de Candolle", "Aus bus", "de Candolle", "species"),
        ("Aus bus d'Orbigny, 1840", "Aus bus", "d'Orbigny, 1840", "species"),
        ("Aus bus l’Héritier", "Aus bus", "l’Héritier", "species"),
        ("Aus bus A.B.C.Smith & K. O'Neil", "Aus bus", "A.B.C.Smith & K. O'Neil", "species"),
        ("Aus bus Hook. f. ex Baker", "Aus bus", "Hook. f. ex Baker", "species"),
        ("Aus bus [Linnaeus, 1758]", "Aus bus", "[Linnaeus, 1758]", "species"),
        ("Aus bus L., 1758 sp. nov.", "Aus bus", "L., 1758 sp. nov.", "species"),
        ("Aus bus in litt.", "Aus bus", "in litt.", "species"),
        ("Abies alba Mill. var. acutifolia", "Abies alba var. acutifolia", "", "variety"),
        ("Aus bus L. ssp. cus (Mill.) Foo", "Aus bus subsp. cus", "(Mill.) Foo", "subspecies"),
        ("Aus bus ssp cus", "Aus bus subsp. cus", "", "subspecies"),
        ("Aus bus forma dus Smith", "Aus bus f. dus", "Smith", "form"),
        ("Aus bus var. cus f. dus", "Aus bus f. dus", "", "form"),
        (
            "Mus musculus domesticus Schwarz & Schwarz, 1943",
            "Mus musculus domesticus",
            "Schwarz & Schwarz, 1943",
            "subspecies",
        ),
        ("Coccinella 7-punctata L.", "Coccinella 7-punctata", "L.", "species"),
        ("Polygonia c-album", "Polygonia c-album", "", "species"),
        ("Parus", "Parus", "", ""),
        ("Parus Linnaeus, 1758", "Parus", "Linnaeus, 1758", ""),
        ("Parus (Linnaeus, 1758)", "Parus", "(Linnaeus, 1758)", ""),
        ("Scaridae", "Scaridae", "", "family"),
        ("Rosaceae Juss.", "Rosaceae", "Juss.", "family"),
        ("Hieracium sect. Vulgata", "Vulgata", "", "section"),
        ("Aus (Bus)", "Bus", "", "subgenus"),
        ('"Parus major",', "Parus major", "", "species"),
        ("  Parus\u00a0 major ;", "Parus major", "", "species"),
        ("<i>Parus major</i> L.", "Parus major", "L.", "species"),
        ("Parus_major", "Parus major", "", "species"),
        ("†Parus major", "Parus major", "", "species"),
        ("[Parus major]", "Parus major", "", "species"),
        ("Candidatus Phytoplasma asteris", "Phytoplasma asteris", "", "species"),
    ],
)
def test_names_are_taken_apart(text: str, canonical: str, authorship: str, rank: str) -> None:
    parsed = parse(text)
    assert (parsed.canonical, parsed.authorship, parsed.rank) == (canonical, authorship, rank)
    assert parsed.is_name
    assert not parsed.doubt
    assert parsed.verbatim == text


def test_the_subgenus_is_no_part_of_the_name() -> None:
    parsed = parse("Bombus (Pyrobombus) hypnorum (Linnaeus, 1758)")
    assert (parsed.canonical, parsed.subgenus) == ("Bombus hypnorum", "Pyrobombus")
    assert parsed.authorship == "(Linnaeus, 1758)"


@pytest.mark.parametrize(
    ("text", "canonical", "hybrid"),
    [
        ("Salix ×rubra Huds.", "Salix x rubra", "species"),
        ("Salix × rubra", "Salix x rubra", "species"),
        ("Salix X rubra", "Salix x rubra", "species"),
        ("×Agropogon littoralis", "x Agropogon littoralis", "genus"),
        ("X Agropogon littoralis", "x Agropogon littoralis", "genus"),
        ("Quercus robur x Q. petraea", "Quercus robur x Quercus petraea", "formula"),
        ("Quercus robur L. × petraea", "Quercus robur x Quercus petraea", "formula"),
        ("Anas acuta x Mareca strepera", "Anas acuta x Mareca strepera", "formula"),
        ("Larus a-us x Larus bus x Larus cus", "Larus a-us x Larus bus x Larus cus", "formula"),
    ],
)
def test_hybrids(text: str, canonical: str, hybrid: str) -> None:
    parsed = parse(text)
    assert (parsed.canonical, parsed.hybrid) == (canonical, hybrid)


@pytest.mark.parametrize(
    ("text", "canonical", "doubt"),
    [
        ("Parus sp.", "Parus", "sp."),
        ("Parus spp", "Parus", "spp"),
        ("Parus sp. nov. 3", "Parus", "sp."),
        ("Parus cf. major", "Parus", "cf."),
        ("Parus aff. major L.", "Parus", "aff."),
        ("Parus major?", "Parus major", "?"),
        ("Parus? major", "Parus major", "?"),
        ("Aus bus cf. cus", "Aus bus", "cf."),
        ("Fish larvae", "Fish", "larvae"),
        ("Rosa 'Peace'", "Rosa", "'Peace"),
        ("Parus major 12", "Parus major", "12"),
        ("Parus major #3", "Parus major", "#3"),
    ],
)
def test_doubts_and_what_is_not_understood(text: str, canonical: str, doubt: str) -> None:
    parsed = parse(text)
    assert (parsed.canonical, parsed.doubt, parsed.authorship) == (canonical, doubt, "")


def test_names_in_the_sense_of_others() -> None:
    parsed = parse("Aus bus auct. non L.")
    assert (parsed.canonical, parsed.sense, parsed.authorship) == ("Aus bus", "auct. non L.", "")
    assert parse("Aus bus s.l.").sense == "s.l."


@pytest.mark.parametrize(
    "text", ["PARUS MAJOR", "parus major", "PARUS major", "PARUS MAJOR LINNAEUS, 1758"]
)
def test_letter_case_is_mended_and_told(text: str) -> None:
    parsed = parse(text)
    assert (parsed.canonical, parsed.mended) == ("Parus major", True)
    assert not parse("Parus major").mended


def test_an_epithet_with_a_capital_may_be_an_author() -> None:
    parsed = parse("Parus Major")
    assert (parsed.canonical, parsed.authorship, parsed.capital) == ("Parus", "Major", "major")


@pytest.mark.parametrize("text", ["", "x", "X", "BOLD:AAA1234", "123", "  ", "?", "a", "(Parus)"])
def test_what_is_no_name_stays_as_it_is(text: str) -> None:
    parsed = parse(text)
    assert not parsed.is_name
    assert parsed.canonical == " ".join(text.split())


def test_names_are_compared_without_marks_signs_and_accents() -> None:
    assert parse("Salix alba var. vitellina").key == parse("Salix alba f. vitellina").key
    assert parse("Salix ×rubra").key == "salix rubra"
    assert parse("Isoëtes lacustris").key == parse("Isoetes lacustris").key


def test_ranks_by_ending() -> None:
    known = {"Paridae": "family", "Rosaceae": "family", "Rosales": "order", "Parinae": "subfamily"}
    assert {name: rank_of_ending(name) for name in known} == known
    assert rank_of_ending("Ales") == rank_of_ending("Parus") == ""


@given(st.text(max_size=60) | st.text(alphabet="Aab .x×()?,&'1-", max_size=40))
def test_no_text_is_too_ugly(text: str) -> None:
    parsed = parse(text)
    assert parsed.verbatim == text
    assert isinstance(parsed.key, str)
    if parsed.is_name:
        again = parse(parsed.canonical)
        assert again.key == parsed.key


@given(
    st.from_regex(r"\A[A-Z][a-z]{3,9}\Z"),
    st.from_regex(r"\A[b-w][a-z]{4,11}(us|a|um)\Z"),
    st.sampled_from(["", "L.", "(L.) Mill.", "Smith & Jones, 1900", "de Candolle", "A.B.Foo"]),
)
def test_authors_never_change_the_name(genus: str, epithet: str, authors: str) -> None:
    parsed: ParsedName = parse(f"{genus} {epithet} {authors}")
    assert parsed.canonical == f"{genus} {epithet}"
    assert parsed.authorship == authors
