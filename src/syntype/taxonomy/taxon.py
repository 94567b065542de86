"""A taxon: the label as delivered beside its cleaned name and its seven-rank lineage.

The ranks that a name gives away by itself are derived, and only where the form of the name leaves
no doubt; a wrong genus would be worse than none, since it turns misses into hits at genus level:

    Cyprinella whipplei                      genus Cyprinella
    Cinclus cinclus cinclus                  genus Cinclus (the species stays the whole name)
    Lepomis cyanellus x Lepomis macrochirus  genus Lepomis: both parents share it
    Abies alba Mill.                         genus Abies
    Lepomis sp.                              genus Lepomis
    Lepomis                                  genus Lepomis only if another name of the set has it
    Scaridae                                 family Scaridae: the codes reserve -idae and -aceae
    acantharia_protist                       nothing

The forms of names follow the codes of nomenclature (ICZN 1999, articles 5, 11 and 29; ICN 2018,
articles 18, 20 and 23).
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

RANKS = ("kingdom", "phylum", "class", "order", "family", "genus", "species")
"""The seven ranks, from the root; the same as the columns of a dataset."""

Lineage = tuple[str, str, str, str, str, str, str]
"""One name for each of `RANKS`, "" where unknown."""

NOWHERE: Lineage = ("", "", "", "", "", "", "")
"""The lineage of which nothing is known."""

_GENUS = re.compile(r"[A-Z][a-zà-öø-ÿ]+(?:-[a-zà-öø-ÿ]+)?")
_EPITHET = re.compile(r"(?=..)[a-zà-öø-ÿ]+(?:-[a-zà-öø-ÿ]+)*")
_FAMILY = re.compile(r"[A-Z][a-zà-öø-ÿ]+(?:idae|aceae)")
# Behind a genus these words say "not named to species" (open nomenclature).
_OPEN = frozenset({"sp", "spp", "cf", "aff", "nr", "indet", "gen"})
_RANK_MARKS = frozenset({"subsp.", "ssp.", "var.", "f.", "forma", "subvar.", "cv."})
# Words that stand behind a capital in class names but are no epithets.
_NO_EPITHET = re.compile(
    "sp|spp|cf|aff|nr|indet|gen|and|or|of|in|on|with|without|other|unknown|unidentified|hybrid|"
    "eggs?|larvae?|juveniles?|adults?|males?|females?|pupae?|nymphs?|fragments?|parts?"
)
HYBRID_SIGN = "x"
"""The word between the parents of a hybrid, after cleaning."""


def is_genus_word(word: str) -> bool:
    """Whether `word` has the form of a genus name: one capital, then small letters."""
    return _GENUS.fullmatch(word) is not None


def is_epithet(word: str) -> bool:
    """Whether `word` has the form of a species or subspecies epithet."""
    return _EPITHET.fullmatch(word) is not None and _NO_EPITHET.fullmatch(word) is None


def is_binomial(name: str) -> bool:
    """Whether `name` looks like a genus and an epithet and nothing else."""
    words = name.split(" ")
    return len(words) == 2 and is_genus_word(words[0]) and is_epithet(words[1])


def genus_of(name: str, genera: Collection[str] = ()) -> str:
    """The genus that a cleaned name gives away, or "".

    Args:
        name: A cleaned name.
        genera: Genera known from other names, which settle what a name of one word is.
    """
    words = name.split(" ")
    if not is_genus_word(words[0]):
        return ""
    if len(words) == 1:
        return name if name in genera and not family_of(name) else ""
    if HYBRID_SIGN in words:
        return _genus_of_hybrid(words)
    if words[1].rstrip(".") in _OPEN:
        return words[0]
    end = next((i for i, word in enumerate(words) if i and _starts_author(word)), len(words))
    epithets = [word for word in words[1:end] if word not in _RANK_MARKS]
    return words[0] if 1 <= len(epithets) <= 2 and all(map(is_epithet, epithets)) else ""


def _starts_author(word: str) -> bool:
    return word[:1].isupper() or word.startswith("(")


def _genus_of_hybrid(words: list[str]) -> str:
    """The genus of both parents, or "" where they differ or are no scientific names."""
    capitals = {word for word in words if word[:1].isupper()}
    others = [word for word in words if word not in capitals and word != HYBRID_SIGN]
    same = capitals == {words[0]}
    return words[0] if same and others and all(is_epithet(word) for word in others) else ""


def family_of(name: str) -> str:
    """The family if `name` is one by its reserved ending, else ""."""
    return name if _FAMILY.fullmatch(name) else ""


@dataclass(frozen=True, kw_only=True)
class Taxon:
    """A label and what it says.

    Attributes:
        verbatim: The label exactly as delivered.
        scientific_name: The label after cleaning.
        lineage: Names at the seven `RANKS`, "" where unknown. The last is the name that
            species-level scores use; it is never empty: the binomial where the label is one,
            else the whole cleaned label, so that classes that are no species stay apart.
        vernacular_name: Common name, "" where unknown.
    """

    verbatim: str
    scientific_name: str
    lineage: Lineage
    vernacular_name: str = ""

    @classmethod
    def from_name(cls, verbatim: str, name: str, genera: Collection[str] = ()) -> "Taxon":
        """The taxon of the cleaned `name`, with what the name gives away.

        Args:
            verbatim: The label as delivered.
            name: The label after cleaning.
            genera: Genera known from the other names of the set.
        """
        derived = {"family": family_of(name), "genus": genus_of(name, genera), "species": name}
        lineage = dict(zip(RANKS, NOWHERE, strict=True)) | derived
        return cls(verbatim=verbatim, scientific_name=name, lineage=_lineage(lineage))

    def at(self, rank: str) -> str:
        """The name at `rank`, "" where unknown.

        Raises:
            ValueError: `rank` is none of `RANKS`.
        """
        return self.lineage[RANKS.index(rank)]

    @property
    def species(self) -> str:
        """The name that species-level scores use."""
        return self.lineage[-1]

    def with_ranks(self, ranks: Mapping[str, str]) -> "Taxon":
        """This taxon with the names of `ranks` where they are not empty."""
        given = {rank: name for rank, name in ranks.items() if name}
        lineage = dict(zip(RANKS, self.lineage, strict=True)) | given
        return replace(self, lineage=_lineage(lineage))


def _lineage(names: Mapping[str, str]) -> Lineage:
    kingdom, phylum, class_, order, family, genus, species = (names[rank] for rank in RANKS)
    return (kingdom, phylum, class_, order, family, genus, species)
