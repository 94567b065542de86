import pytest

from syntype.taxonomy.taxon import RANKS, Taxon, family_of, genus_of, is_binomial


def test_ranks_are_those_of_a_dataset() -> None:
    from syntype.data.dataset import SCHEMA

    assert [name for name in SCHEMA.names if name in RANKS] == list(RANKS)


@pytest.mark.parametrize(
    ("name", "genus"),
    [
        ("Cyprinella whipplei", "Cyprinella"),
        ("Ia io", "Ia"),
        ("Isoëtes lacustris", "Isoëtes"),
        ("Polygonia c-album", "Polygonia"),
        ("Cinclus cinclus cinclus", "Cinclus"),
        ("Brassica oleracea var. capitata", "Brassica"),
        ("Abies alba Mill.", "Abies"),
        ("Cyanistes caeruleus (Linnaeus)", "Cyanistes"),
        ("Lepomis cyanellus x Lepomis macrochirus", "Lepomis"),
        ("Lepomis cyanellus x macrochirus", "Lepomis"),
        ("Salix x fragilis", "Salix"),
        ("Lepomis sp.", "Lepomis"),
        ("Lepomis cf. cyanellus", "Lepomis"),
        ("Anas platyrhynchos x Cairina moschata", ""),
        ("Lepomis", ""),
        ("Scaridae", ""),
        ("acantharia_protist", ""),
        ("acantharia protist", ""),
        ("Fish larvae", ""),
        ("Fish larvae deep body", ""),
        ("copepod", ""),
        ("LEPOMIS cyanellus", ""),
        ("", ""),
        ("x", ""),
        ("Type 2", ""),
    ],
)
def test_genus_of(name: str, genus: str) -> None:
    assert genus_of(name) == genus


def test_a_single_word_is_a_genus_only_if_the_set_has_it() -> None:
    assert genus_of("Lepomis", {"Lepomis"}) == "Lepomis"
    assert genus_of("Lepomis", {"Esox"}) == ""
    assert genus_of("Scaridae", {"Scaridae"}) == ""


def test_family_of() -> None:
    assert family_of("Scaridae") == "Scaridae"
    assert family_of("Fagaceae") == "Fagaceae"
    assert family_of("Lepomis") == ""
    assert family_of("scaridae larvae") == ""


def test_is_binomial() -> None:
    assert is_binomial("Esox lucius")
    assert not any(map(is_binomial, ["Esox", "esox lucius", "Esox sp.", "Esox lucius lucius"]))


def test_a_taxon_names_its_ranks() -> None:
    taxon = Taxon.from_name("Esox_lucius", "Esox lucius").with_ranks(
        {"family": "Esocidae", "order": ""}
    )
    assert taxon.at("species") == taxon.species == "Esox lucius"
    assert (taxon.at("genus"), taxon.at("family"), taxon.at("order")) == ("Esox", "Esocidae", "")
    with pytest.raises(ValueError, match="not in tuple"):
        taxon.at("tribe")


@pytest.mark.parametrize(
    "name",
    ["acantharia_protist", "Lepomis", "Lepomis cyanellus x Lepomis macrochirus", "Scaridae"],
)
def test_what_is_no_binomial_is_its_own_species(name: str) -> None:
    assert Taxon.from_name(name, name).species == name
