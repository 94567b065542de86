from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.errors import UsageError
from syntype.taxonomy.taxon import RANKS, Taxon
from syntype.taxonomy.text import TEXT_FORMS, TextForm, caption, in_words, taxa_at, taxa_of
from syntype.taxonomy.tree import TaxonTree

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
        ("as-is", "parus major"),
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


def row_of(taxon: Taxon) -> dict[str, str]:
    return {
        "verbatimIdentification": taxon.verbatim,
        "scientificName": taxon.scientific_name,
        "vernacularName": taxon.vernacular_name,
        **dict(zip(RANKS, taxon.lineage, strict=True)),
    }


def test_rows_become_taxa() -> None:
    table = pa.Table.from_pylist([row_of(TIT), row_of(BLOB)])
    assert taxa_of(table) == [TIT, BLOB]


def test_a_species_is_what_most_of_its_samples_say() -> None:
    nameless = replace(TIT, vernacular_name="")
    other = replace(TIT, verbatim="PARUS", vernacular_name="Tit").with_ranks({"family": "Tits"})
    blue = Taxon.from_name("c", "Cyanistes caeruleus")
    found = taxa_at([nameless, nameless, nameless, other, TIT, TIT, blue])
    assert found == {"Cyanistes caeruleus": blue, "Parus major": TIT}
    assert list(found) == sorted(found)
    # One vote each: the first in the alphabet.
    assert taxa_at([TIT, other])["Parus major"].vernacular_name == "Great Tit"
    assert taxa_at([TIT, other])["Parus major"].verbatim == "PARUS"


@pytest.mark.parametrize(
    ("rank", "form", "words"),
    [
        ("genus", "scientific", "Parus"),
        ("genus", "as-is", "Parus"),
        ("genus", "scientific+common", "Parus"),
        ("genus", "taxonomic", "Animalia Chordata Aves Passeriformes Paridae Parus"),
        ("family", "taxonomic+common", "Animalia Chordata Aves Passeriformes Paridae"),
        ("kingdom", "taxonomic", "Animalia"),
    ],
)
def test_higher_ranks_in_words(rank: str, form: TextForm, words: str) -> None:
    (name,) = {TIT.at(rank)}
    assert {name: in_words(t, form) for name, t in taxa_at([TIT, BLOB], rank).items()} == {
        name: words
    }


NAMES = st.sampled_from(["", "a", "b"])
TAXA = st.builds(
    lambda species, above, label, common: Taxon(
        verbatim=label, scientific_name=label, lineage=(*above, species), vernacular_name=common
    ),
    st.sampled_from(["x", "y"]),
    st.tuples(*[NAMES] * 6),
    st.sampled_from(["one", "two"]),
    NAMES,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(TAXA, min_size=1, max_size=8), st.randoms())
def test_the_lineage_is_the_trees_and_no_order_counts(taxa, random) -> None:
    found = taxa_at(taxa)
    tree = TaxonTree.from_lineages(taxon.lineage for taxon in taxa)
    assert tuple(found) == tree.species
    assert tuple(taxon.lineage for taxon in found.values()) == tree.lineages
    shuffled = random.sample(taxa, len(taxa))
    for rank in RANKS:
        assert list(taxa_at(shuffled, rank).items()) == list(taxa_at(taxa, rank).items())
