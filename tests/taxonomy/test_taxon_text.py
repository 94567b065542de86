import pytest

from syntype.errors import UsageError
from syntype.taxonomy.taxon import Taxon
from syntype.taxonomy.text import TEXT_FORMS, TextForm, caption, in_words

TIT = Taxon(
    verbatim="parus major",
    scientific_name="Parus major",
    lineage=("Animalia", "Chordata", "Aves", "Passeriformes", "Paridae", "Parus", "Parus major"),
    vernacular_name="Great Tit",
)
BLOB = Taxon.from_name("unknown_blobs", "unknown_blobs")
SEVEN = "Animalia Chordata Aves Passeriformes Paridae Parus major"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("scientific", "Parus major"),
        ("common", "Great Tit"),
        ("taxonomic", SEVEN),
        ("scientific+common", "Parus major with common name Great Tit"),
        ("taxonomic+common", f"{SEVEN} with common name Great Tit"),
    ],
)
def test_the_forms_of_bioclip(form: TextForm, words: str) -> None:
    assert in_words(TIT, form) == words
    assert caption(TIT, form) == f"a photo of {words}."


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_every_taxon_has_words(form: TextForm) -> None:
    assert in_words(BLOB, form) == "unknown_blobs"


def test_the_genus_is_named_once_also_before_a_hybrid() -> None:
    hybrid = Taxon.from_name("h", "Lepomis cyanellus x Lepomis macrochirus")
    assert in_words(hybrid, "taxonomic") == "Lepomis cyanellus x Lepomis macrochirus"
    family = Taxon.from_name("Scaridae", "Scaridae")
    assert in_words(family, "taxonomic") == "Scaridae"


def test_a_bad_prompt_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"needs a \{\}"):
        caption(TIT, prompt="a photo")
