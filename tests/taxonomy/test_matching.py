from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import backbones
from syntype.configs.resolve import ResolveConfig
from syntype.errors import UsageError
from syntype.taxonomy.backbone import Backbone
from syntype.taxonomy.backbone_index import build_backbone
from syntype.taxonomy.matching import Match, Query, match
from syntype.taxonomy.taxon import RANKS, Lineage


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backbone]:
    folder = tmp_path_factory.mktemp("backbone")
    build_backbone(backbones.write_gbif(folder / "backbone.zip"), folder / "b.sqlite")
    with Backbone(folder / "b.sqlite") as opened:
        yield opened


MADE = backbones.species_list(n_genera=12, n_species=24)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backbone]:
    folder = tmp_path_factory.mktemp("made")
    build_backbone(backbones.write_coldp(folder / "made.zip", MADE), folder / "b.sqlite")
    with Backbone(folder / "b.sqlite") as opened:
        yield opened


def under(**ranks: str) -> Lineage:
    kingdom, phylum, class_, order, family, genus, species = (
        ranks.get(rank.rstrip("_"), "") for rank in RANKS
    )
    return (kingdom, phylum, class_, order, family, genus, species)


def ask(backbone: Backbone, name: str, lineage: Lineage | None = None, **options: object) -> Match:
    query = Query(name=name) if lineage is None else Query(name=name, lineage=lineage)
    return match(backbone, query, ResolveConfig(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "how", "score", "accepted"),
    [
        ("Parus major", "exact", 1.0, "Parus major"),
        ("Parus major Linnaeus, 1758", "exact", 1.0, "Parus major"),
        ("Parus major L.", "exact", 1.0, "Parus major"),
        ("PARUS MAJOR", "exact", 1.0, "Parus major"),
        ("Parus major Gmelin, 1788", "exact-other-authors", 0.9, "Parus major"),
        ("Parus ater", "exact", 1.0, "Periparus ater"),
        ("Parus vetus", "exact", 1.0, "Parus major"),
        ("Parus dubius", "exact", 1.0, "Parus dubius"),
        ("Parus ignotus Smith", "exact", 1.0, "Parus ignotus"),
        ("Parus Major", "variant", 0.95, "Parus major"),
        ("Parus atra", "variant", 0.95, "Periparus ater"),
        ("Oenanthe crocatum", "variant", 0.95, "Oenanthe crocata"),
        ("Oenanthe deserta", "fuzzy", 0.8571, "Oenanthe deserti"),
        ("Oenanthe crocatta", "fuzzy", 0.875, "Oenanthe crocata"),
        ("Oenante crocata", "fuzzy", 0.875, "Oenanthe crocata"),
        ("Peripaurs ater", "fuzzy", 0.8889, "Periparus ater"),
        ("Periparsu ater", "fuzzy", 0.8889, "Periparus ater"),
        ("Salix vimnalis", "fuzzy", 0.8889, "Salix viminalis"),
        ("Parus majus", "genus", 0.5, "Parus"),
        ("Parus major major", "exact", 1.0, "Parus major major"),
        ("Parus major novus", "higher-rank", 0.67, "Parus major"),
        ("Parus major cf. novus", "higher-rank", 0.67, "Parus major"),
        ("Parus novus", "genus", 0.5, "Parus"),
        ("Parus sp.", "genus", 0.5, "Parus"),
        ("Parus cf. major", "genus", 0.5, "Parus"),
        ("Parus major?", "genus", 0.5, "Parus"),
        ("Paridae", "exact", 1.0, "Paridae"),
        ("Paridae larvae", "higher-rank", 0.5, "Paridae"),
        ("Salix × rubra", "exact", 1.0, "Salix x rubra"),
        ("Salix rubra", "exact", 1.0, "Salix x rubra"),
        ("Salix x alba", "genus", 0.5, "Salix"),
        ("Salix alba x S. viminalis", "genus", 0.5, "Salix"),
        ("Salix alba x Carex nigra", "none", 0.0, ""),
        ("Salix alba f. vitellina", "exact", 1.0, "Salix alba var. vitellina"),
        ("Bombus (Pyrobombus) hypnorum", "exact", 1.0, "Bombus hypnorum"),
        ("Apis (Bombus) hypnorum", "variant", 0.95, "Bombus hypnorum"),
        ("Tobacco mosaic virus", "exact", 1.0, "Tobacco mosaic virus"),
        ("great tit", "none", 0.0, ""),
        ("BOLD:AAA1234", "none", 0.0, ""),
        ("", "none", 0.0, ""),
        ("Carex nigra", "ambiguous", 0.0, ""),
        ("Carex nigra (L.) Reichard", "exact", 1.0, "Carex nigra"),
        ("Carex nigra All.", "exact", 1.0, "Carex parviflora"),
        ("Parus duplex", "ambiguous", 0.0, ""),
        ("Parus duplex Jones, 1910", "exact", 1.0, "Parus duplex"),
        ("Parus falsus", "ambiguous", 0.0, ""),
        ("Oenanthe", "ambiguous", 0.0, ""),
    ],
)
def test_how_names_are_found(
    backbone: Backbone, name: str, how: str, score: float, accepted: str
) -> None:
    found = ask(backbone, name)
    assert (found.how, found.score, found.accepted_name) == (how, score, accepted)
    assert found.verbatim == name


def test_homonyms_are_decided_by_lineage_as_delivered(backbone: Backbone) -> None:
    plant = ask(backbone, "Oenanthe", under(kingdom="Plantae"))
    bird = ask(backbone, "Oenanthe", under(family="Muscicapidae"))
    other = ask(backbone, "Oenanthe", under(kingdom="Fungi"))
    assert (plant.accepted_id, bird.accepted_id) == ("200", "141")
    assert plant.lineage[:2] == ("Plantae", "Tracheophyta")
    assert other.how == "none"
    assert "only as Oenanthe L. (Plantae, Apiaceae, accepted); Oenanthe Vieillot" in other.notes[0]
    both = ask(backbone, "Oenanthe")
    plant_and_bird = (
        "Oenanthe L. (Plantae, Apiaceae, accepted); "
        "Oenanthe Vieillot, 1816 (Animalia, Muscicapidae, accepted)"
    )
    assert both.notes == (f"may be {plant_and_bird}",)


def test_kingdoms_have_several_names(backbone: Backbone) -> None:
    assert ask(backbone, "Oenanthe", under(kingdom="Metazoa")).accepted_id == "141"
    assert ask(backbone, "Oenanthe", under(kingdom="Viridiplantae")).accepted_id == "200"


def test_a_homonym_of_another_kingdom_is_no_match_even_alone(backbone: Backbone) -> None:
    found = ask(backbone, "Oenanthe crocata", under(kingdom="Animalia"))
    assert found.how == "genus"
    assert found.accepted_id == "141"
    assert found.notes == (
        "in the backbone only as Oenanthe crocata L. (Plantae, Apiaceae, accepted)",
    )


def test_another_family_or_order_is_no_contradiction(backbone: Backbone) -> None:
    lineage = under(order="Otherales", family="Otheraceae")
    assert ask(backbone, "Oenanthe crocata", lineage).how == "exact"
    moved = under(kingdom="Protista", family="Apiaceae")
    assert ask(backbone, "Oenanthe crocata", moved).how == "exact", "one rank agrees"


def test_authors_decide_what_the_lineage_leaves_open(backbone: Backbone) -> None:
    found = match(backbone, Query(name="Carex nigra", authorship="Allioni"))
    assert (found.accepted_name, found.status) == ("Carex parviflora", "heterotypic synonym")
    other = "Carex nigra (L.) Reichard (Plantae, Cyperaceae, accepted)"
    assert found.notes == (f"homonym decided by the authors, not {other}",)


def test_status_decides_only_if_asked_to(backbone: Backbone) -> None:
    found = ask(backbone, "Carex nigra", homonyms="accepted")
    assert (found.how, found.accepted_id) == ("exact", "234")
    assert "decided by status" in found.notes[0]
    assert ask(backbone, "Parus duplex", homonyms="accepted").how == "ambiguous"


def test_a_name_that_is_not_there_has_its_lineage(backbone: Backbone) -> None:
    found = ask(backbone, "Novus novus", under(class_="Aves", family="Paridae"))
    assert (found.how, found.score, found.accepted_name) == ("higher-rank", 0.25, "Paridae")
    assert found.notes == ("found by its family as delivered",)


@pytest.mark.parametrize("name", ["Parus gyrans", "Parus rotans", "Parus perditus"])
def test_synonyms_that_lead_nowhere_stand_for_themselves(backbone: Backbone, name: str) -> None:
    found = ask(backbone, name)
    assert (found.how, found.accepted_name, found.status) == ("exact", name, "synonym")
    assert "is not in the backbone, or leads back" in found.notes[0]


def test_parents_in_a_circle_and_orphans_end(backbone: Backbone) -> None:
    assert ask(backbone, "Circulus volvens").lineage[5:] == ("Circulus", "Circulus volvens")
    orphan = ask(backbone, "Orphanus solus")
    above = ("Animalia", "", "Aves", "", "Paridae")
    assert orphan.lineage == (*above, "Orphanus", "Orphanus solus")


def test_options_of_misspelled_names(backbone: Backbone) -> None:
    assert ask(backbone, "Oenanthe crocatta", fuzzy=1.0).how == "none"
    assert ask(backbone, "Oenanthe crocatta", fuzzy=0.9).how == "none"
    assert ask(backbone, "Oenanthe crocatta", min_length=8).how == "none"
    assert ask(backbone, "Benanthe crocata").how == "none"
    assert ask(backbone, "Benanthe crocata", same_initial=False).accepted_id == "201"
    for wrong in ({"fuzzy": 0.0}, {"fuzzy": 1.5}, {"min_length": 1}, {"ranks": ("genus",) * 2}):
        with pytest.raises(UsageError, match="--resolve"):
            ResolveConfig(**wrong)  # type: ignore[arg-type]


def test_names_alike_to_two_are_ambiguous(tmp_path: Path) -> None:
    names = [
        backbones.Name("1", "", "Aus cristatus"),
        backbones.Name("2", "", "Aus cristagus"),
        backbones.Name("3", "", "Bus albensis"),
        backbones.Name("4", "", "Bus albense"),
    ]
    build_backbone(backbones.write_coldp(tmp_path / "a.zip", names), tmp_path / "b.sqlite")
    with Backbone(tmp_path / "b.sqlite") as opened:
        assert ask(opened, "Aus cristanus").how == "ambiguous"
        assert ask(opened, "Aus cristattus").accepted_id == "1"
        assert ask(opened, "Bus albensis").accepted_id == "3"


SPECIES = [name for name in MADE if name.rank == "species"]


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(SPECIES), authors=st.booleans())
def test_exact_names_match_with_score_one(
    made: Backbone, name: backbones.Name, authors: bool
) -> None:
    found = ask(made, backbones.full(name) if authors else name.name)
    assert (found.how, found.score, found.taxon_id) == ("exact", 1.0, name.id)
    assert found.lineage[4:] == ("Fictidae", name.name.split(" ")[0], name.name)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(SPECIES))
def test_one_letter_typos_of_long_names_are_found(
    made: Backbone, data: st.DataObject, name: backbones.Name
) -> None:
    """Any letter but the first of a word is left out, doubled, replaced or swapped."""
    words = name.name.split(" ")
    which = data.draw(st.integers(0, 1))
    word = words[which]
    at = data.draw(st.integers(1, len(word) - 2))
    typos = [
        word[:at] + word[at + 1 :],
        word[:at] + "j" + word[at:],
        word[:at] + "j" + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ]
    words[which] = data.draw(st.sampled_from(typos))
    found = ask(made, " ".join(words))
    assert found.taxon_id == name.id
    assert found.how in {"fuzzy", "exact", "variant"}
    assert found.score >= 0.8


SOME = ("Parus ater", "Parus vetus", "Parus gyrans", "Oenanthe", "Oenante crocata", "Parus sp.")


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(SOME))
def test_matching_does_not_depend_on_what_was_asked_before(
    backbone: Backbone, order: list[str]
) -> None:
    with Backbone(backbone.path) as fresh:
        found = {name: ask(fresh, name) for name in order}
    assert found == {name: ask(backbone, name) for name in SOME}


IDS = st.sampled_from(["", *"abcdefgh", "gone"])


@settings(max_examples=25, deadline=None)
@given(links=st.lists(st.tuples(IDS, IDS), min_size=8, max_size=8))
def test_broken_backbones_end_and_accepted_names_stay(
    links: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever points to whatever: all is answered, and the accepted of an accepted is itself."""
    ranks = ("genus", "species", "family", "subspecies")
    names = [
        backbones.Name(
            id=letter,
            parent=parent,
            name=f"Aus {letter * 6}" if i % 2 else f"A{letter * 6}",
            rank=ranks[i % 4],
            status="synonym" if accepted else "accepted",
            accepted=accepted,
        )
        for i, (letter, (parent, accepted)) in enumerate(zip("abcdefgh", links, strict=True))
    ]
    folder = tmp_path_factory.mktemp("broken")
    build_backbone(backbones.write_col_dwca(folder / "a.zip", names), folder / "b.sqlite")
    with Backbone(folder / "b.sqlite") as opened:
        for name in names:
            usage = opened.by_id(name.id)
            assert usage is not None
            accepted = opened.accepted(usage)
            assert opened.accepted(accepted) == accepted
            assert len(opened.lineage(usage)) == len(RANKS)
            assert opened.lineage(usage) == opened.lineage(accepted)
            assert ask(opened, name.name).how in {"exact", "ambiguous"}
