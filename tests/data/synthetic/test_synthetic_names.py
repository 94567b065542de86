"""Invented names are unique, in the right gender, and end as their rank demands."""

import numpy as np
import pytest

from syntype.data.synthetic.names import NameGiver, family_name, order_name

CLASSES = ("Actinopterygii", "Insecta", "Aves")


def test_genera_families_and_nouns_are_never_given_twice():
    giver = NameGiver(np.random.default_rng(0))
    genera = [giver.genus(CLASSES[i % 3]) for i in range(300)]
    assert len({genus.name for genus in genera}) == 300
    assert len({family_name(genus) for genus in genera}) == 300
    assert len({genus.noun for genus in genera}) == 300
    assert all(genus.name.istitle() and genus.name.isalpha() for genus in genera)


@pytest.mark.parametrize(
    ("class_", "ending"),
    [("Actinopterygii", "iformes"), ("Insecta", "optera"), ("Aves", "iformes")],
)
def test_higher_names_end_as_they_must(class_, ending):
    genus = NameGiver(np.random.default_rng(1)).genus(class_)
    assert family_name(genus) == genus.stem + "idae"
    assert order_name(genus, class_) == genus.stem + ending


def test_epithets_describe_agree_and_never_run_out():
    giver = NameGiver(np.random.default_rng(2))
    genera = [giver.genus("Aves") for _ in range(30)]
    male = next(genus for genus in genera if genus.gender == "m")
    female = next(genus for genus in genera if genus.gender == "f")
    assert giver.species(male, ["bands"]) == (f"{male.name} fasciatus", f"Banded {male.noun}")
    assert giver.species(female, ["bands"]) == (f"{female.name} fasciata", f"Banded {female.noun}")
    more = [giver.species(male, ["bands", "red"]) for _ in range(50)]
    assert len({name for name, _ in more}) == 50
    assert more[-1][0].endswith("ensis")


def test_the_same_seed_gives_the_same_names():
    first, second = (NameGiver(np.random.default_rng(7)) for _ in range(2))
    assert [first.genus("Insecta") for _ in range(5)] == [second.genus("Insecta") for _ in range(5)]
