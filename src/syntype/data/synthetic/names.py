"""Latinate names that nobody has published: genera, families, orders, binomials, common names.

A genus is invented syllables and a classical ending; families and orders take the stem of their
first genus. Epithets describe the species in the grammatical gender of the genus, or name an
invented place once the descriptions are used up. Any likeness to a published name is chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

_ONSETS = [
    "b",
    "br",
    "c",
    "cl",
    "cr",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "gr",
    "l",
    "m",
    "n",
    "p",
    "ph",
    "pl",
    "pr",
    "r",
    "s",
    "sc",
    "st",
    "t",
    "th",
    "tr",
    "v",
    "x",
    "z",
]
_VOWELS = ["a", "e", "i", "o", "u", "y"]

# Ending of the genus, its stem in family names, its gender (m or f).
_ENDINGS = {
    "Actinopterygii": [
        ("ichthys", "ichthy", "m"),
        ("odon", "odont", "m"),
        ("urus", "ur", "m"),
        ("aspis", "aspid", "f"),
        ("ellus", "ell", "m"),
        ("perca", "perc", "f"),
    ],
    "Insecta": [
        ("pteryx", "pteryg", "f"),
        ("ona", "on", "f"),
        ("alia", "ali", "f"),
        ("ethes", "eth", "m"),
        ("issa", "iss", "f"),
        ("odes", "od", "m"),
    ],
    "Aves": [
        ("ornis", "ornith", "m"),
        ("ptila", "ptil", "f"),
        ("avis", "av", "f"),
        ("icola", "icol", "f"),
        ("estes", "est", "m"),
        ("anax", "anact", "m"),
    ],
}
_ORDER_ENDING = {"Actinopterygii": "iformes", "Insecta": "optera", "Aves": "iformes"}

# What a species shows: its epithet for a masculine and a feminine genus, and the English word.
_EPITHETS = {
    "bands": [
        ("fasciatus", "fasciata", "Banded"),
        ("cinctus", "cincta", "Girdled"),
        ("zonatus", "zonata", "Zoned"),
    ],
    "stripes": [
        ("lineatus", "lineata", "Lined"),
        ("vittatus", "vittata", "Ribboned"),
        ("striatus", "striata", "Striped"),
    ],
    "spots": [
        ("maculatus", "maculata", "Spotted"),
        ("guttatus", "guttata", "Beaded"),
        ("punctatus", "punctata", "Dotted"),
    ],
    "mesh": [
        ("reticulatus", "reticulata", "Netted"),
        ("tessellatus", "tessellata", "Chequered"),
        ("marmoratus", "marmorata", "Marbled"),
    ],
    "plain": [
        ("modestus", "modesta", "Modest"),
        ("nitidus", "nitida", "Shining"),
        ("concolor", "concolor", "Plain"),
    ],
    "black": [("niger", "nigra", "Black"), ("ater", "atra", "Sooty")],
    "white": [("albus", "alba", "White"), ("niveus", "nivea", "Snowy")],
    "grey": [("griseus", "grisea", "Grey"), ("cinereus", "cinerea", "Ashen")],
    "red": [("ruber", "rubra", "Red"), ("coccineus", "coccinea", "Scarlet")],
    "orange": [("aurantius", "aurantia", "Orange"), ("igneus", "ignea", "Fiery")],
    "yellow": [("flavus", "flava", "Yellow"), ("aureus", "aurea", "Golden")],
    "green": [("viridis", "viridis", "Green"), ("prasinus", "prasina", "Leek-green")],
    "blue": [("caeruleus", "caerulea", "Blue"), ("azureus", "azurea", "Azure")],
    "purple": [("violaceus", "violacea", "Violet"), ("purpureus", "purpurea", "Purple")],
    "pink": [("roseus", "rosea", "Rosy"), ("carneus", "carnea", "Blushing")],
}
_QUALITIES = [
    "Amber",
    "Bramble",
    "Cinder",
    "Copper",
    "Coral",
    "Dusk",
    "Ember",
    "Feather",
    "Fern",
    "Frost",
    "Glimmer",
    "Hollow",
    "Ivory",
    "Lantern",
    "Marsh",
    "Meadow",
    "Mist",
    "Moon",
    "Opal",
    "Petal",
    "Pepper",
    "Rain",
    "Saffron",
    "Silver",
    "Slate",
    "Spindle",
    "Star",
    "Thistle",
    "Thorn",
    "Velvet",
    "Willow",
    "Wind",
]
_ORGANS = {
    "Actinopterygii": ["fin", "gill", "tail", "back", "snout", "scale"],
    "Insecta": ["wing", "dancer", "flit", "veil", "sail", "drift"],
    "Aves": ["bill", "crest", "wing", "tail", "song", "throat"],
}


@dataclass(frozen=True)
class GenusName:
    """A genus: its name, its stem in higher names, its gender and its common noun."""

    name: str
    stem: str
    gender: str
    noun: str


def _word(n_syllables: int, rng: np.random.Generator) -> str:
    return "".join(
        _ONSETS[rng.integers(len(_ONSETS))] + _VOWELS[rng.integers(len(_VOWELS))]
        for _ in range(n_syllables)
    )


@dataclass
class NameGiver:
    """Gives names and remembers them, so that none is given twice.

    Attributes:
        rng: Where the syllables come from.
    """

    rng: np.random.Generator
    _given: set[str] = field(default_factory=set)

    def _fresh(self, candidates: Iterator[str]) -> str:
        name = next(name for name in candidates if name not in self._given)
        self._given.add(name)
        return name

    def genus(self, class_: str) -> GenusName:
        """A genus of class `class_`, unique in its name, its stem and its common noun."""
        while True:
            ending, stem_ending, gender = _ENDINGS[class_][self.rng.integers(len(_ENDINGS[class_]))]
            root = _word(2 + (self.rng.random() < 0.15), self.rng).capitalize()
            if ending[0] in _VOWELS:
                root = root[:-1]
            if root + stem_ending not in self._given:
                break
        self._given.add(root + stem_ending)
        return GenusName(root + ending, root + stem_ending, gender, self._noun(class_))

    def _noun(self, class_: str) -> str:
        def candidates() -> Iterator[str]:
            organs = _ORGANS[class_]
            for _ in range(20):
                quality = _QUALITIES[self.rng.integers(len(_QUALITIES))]
                yield quality + organs[self.rng.integers(len(organs))]
            while True:
                quality = _word(2, self.rng).capitalize()
                yield quality + organs[self.rng.integers(len(organs))]

        return self._fresh(candidates())

    def species(self, genus: GenusName, shows: list[str]) -> tuple[str, str]:
        """A binomial and a common name.

        Args:
            genus: The genus.
            shows: What can be seen, keys of the table of epithets, most telling first.
        """
        described = [entry for key in shows for entry in _EPITHETS[key]]
        masculine = genus.gender == "m"

        def candidates() -> Iterator[tuple[str, str]]:
            for male, female, english in described:
                yield male if masculine else female, english
            while True:
                place = _word(2, self.rng) + "ln"[self.rng.integers(2)]
                yield place + "ensis", place.capitalize()

        for epithet, english in candidates():
            binomial = f"{genus.name} {epithet}"
            if binomial not in self._given:
                self._given.add(binomial)
                return binomial, f"{english} {genus.noun}"
        raise AssertionError("there is always another place")


def family_name(genus: GenusName) -> str:
    """The family whose first genus is `genus`."""
    return f"{genus.stem}idae"


def order_name(genus: GenusName, class_: str) -> str:
    """The order whose first genus is `genus`."""
    return f"{genus.stem}{_ORDER_ENDING[class_]}"
