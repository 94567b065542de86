"""A scientific name as it is written, taken apart: words, rank, hybrid sign, doubt, authors.

    Parus major Linnaeus, 1758           Parus major, species, by Linnaeus, 1758
    Aus (Bus) cus (L.) Mill.             Aus cus in subgenus Bus, by (L.) Mill.
    Abies alba Mill. var. acutifolia     Abies alba var. acutifolia, variety
    Salix ×rubra, Salix X rubra          Salix x rubra, a hybrid that is named
    Quercus robur x petraea              a hybrid that is named by its parents
    Parus cf. major, Parus sp.           Parus, with a doubt
    PARUS MAJOR, parus major             Parus major, in letters that were mended

The forms follow the codes of nomenclature (ICZN 1999; ICN 2018), the ways to spell them wrong the
labels of collections. What has no form of a name (great tit, Tobacco mosaic virus, BOLD:AAA1234)
is none, and stays as it is. No list of names is consulted: a word is an epithet by its form and by
where it stands.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from syntype.taxonomy.cleaning import underscores, unicode, white_space
from syntype.taxonomy.spelling import fold
from syntype.taxonomy.taxon import HYBRID_SIGN, is_epithet, is_genus_word

Hybrid = Literal["", "genus", "species", "formula"]
"""No hybrid; a hybrid genus (x Aus); a named hybrid (Aus x bus); a hybrid named by its parents."""

RANK_MARKS = {
    "subsp": "subspecies",
    "ssp": "subspecies",
    "nothosubsp": "subspecies",
    "var": "variety",
    "nothovar": "variety",
    "subvar": "subvariety",
    "f": "form",
    "forma": "form",
    "form": "form",
    "subf": "subform",
    "morph": "morph",
    "ab": "aberration",
    "pv": "pathovar",
    "cv": "cultivar",
}
"""Words before an epithet below species, and the rank that they stand for."""
_MARK = {"subspecies": "subsp.", "variety": "var.", "form": "f."}
_ABOVE_SPECIES = {"subgen": "subgenus", "subg": "subgenus", "sect": "section"}
_DOUBT = frozenset({"sp", "spp", "cf", "aff", "nr", "indet", "gen", "species", "?"})
_SENSE = frozenset(
    {"auct", "auctt", "sensu", "s.l", "s.str", "s.lat", "s.s", "non", "nec", "emend"}
)
_SMALL_WORDS = (
    "de du da di des do dos della la le les van von der den ter ten zu zur et and in ex y e "
    "af nom nomen comb nov auct auctt sensu non nec emend bis hort nob mihi ined litt sic"
)
_PARTICLES = frozenset(_SMALL_WORDS.split())
_EPITHET = re.compile(r"(?:\d{1,3}-?)?[a-zà-öø-ÿœ]+(?:['’-]{1,2}[a-zà-öø-ÿœ]+)*")
_SUBGENUS = re.compile(r"\(([A-Z][a-zà-öø-ÿ]+)\)")
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_TAG = re.compile(r"</?[a-zA-Z]{1,6}>")
_ELIDED = re.compile(r"[dl]['’]\w")
_AROUND = " \t,;:\"'`´‘’“”«»*†‡_"
_ENDINGS = (
    ("idae", "family"),
    ("aceae", "family"),
    ("viridae", "family"),
    ("virales", "order"),
    ("oideae", "subfamily"),
    ("oidea", "superfamily"),
    ("ineae", "suborder"),
    ("inae", "subfamily"),
    ("ales", "order"),
    ("formes", "order"),
    ("opsida", "class"),
    ("phyta", "phylum"),
    ("mycota", "phylum"),
    ("mycetes", "class"),
)
_LONGEST = 400


@dataclass(frozen=True, kw_only=True)
class ParsedName:
    """A name in its parts.

    Attributes:
        verbatim: As it was written.
        uninomial: Genus, or the name of one word of another rank; "" if this is no name.
        subgenus: What stood in brackets behind the genus.
        epithets: Of species, subspecies and below.
        rank: What the name itself says of it, "" for a name of one word without a known ending.
        mark: How the rank below species was written, for example var.
        hybrid: Whether and how it is one.
        parents: Of a formula: the names of the parents as far as they can be told.
        doubt: The mark that says "not sure" (cf., aff., sp., ?), or the first word that is neither
            name nor author (larvae, 12, 'Peace'): what stands behind it was not read.
        authorship: Who named it, as written.
        sense: In whose sense (auct., sensu ...), as written.
        mended: Whether letter case had to be changed to make it a name.
        capital: The second word if it may be an epithet written with a capital, in small letters.
    """

    verbatim: str
    uninomial: str = ""
    subgenus: str = ""
    epithets: tuple[str, ...] = ()
    rank: str = ""
    mark: str = ""
    hybrid: Hybrid = ""
    parents: tuple[str, ...] = ()
    doubt: str = ""
    authorship: str = ""
    sense: str = ""
    mended: bool = False
    capital: str = ""

    @property
    def is_name(self) -> bool:
        """Whether it has the form of a scientific name."""
        return bool(self.uninomial)

    @cached_property
    def canonical(self) -> str:
        """The name without authors, subgenus and doubt; what is no name, as it was written."""
        if self.hybrid == "formula":
            return f" {HYBRID_SIGN} ".join(self.parents)
        if not self.uninomial:
            return white_space(unicode(self.verbatim))
        words = [self.uninomial, *self.epithets]
        if self.mark and len(self.epithets) > 1:
            words.insert(-1, self.mark)
        if self.hybrid == "genus":
            words.insert(0, HYBRID_SIGN)
        elif self.hybrid == "species":
            words.insert(1, HYBRID_SIGN)
        return " ".join(words)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The folded words that names are compared by: no hybrid sign and no rank mark."""
        if self.hybrid == "formula" or not self.uninomial:
            return tuple(fold(self.canonical).split(" "))
        return tuple(fold(word) for word in (self.uninomial, *self.epithets))

    @property
    def key(self) -> str:
        """`words` as one text."""
        return " ".join(self.words)


def parse(text: str) -> ParsedName:
    """Take a name apart.

    Args:
        text: As delivered. No text is too ugly; what is no name comes back as none.
    """
    cleaned = white_space(unicode(_TAG.sub("", text[:_LONGEST])))
    cleaned = white_space(cleaned.replace("×", " × ").strip(_AROUND))
    if cleaned.startswith("["):
        cleaned = cleaned.strip("[]")
    cleaned = underscores(cleaned).removeprefix("Candidatus ").removeprefix("Ca. ")
    tokens = cleaned.split(" ")
    hybrid_genus = tokens[0] in {"×", "x", "X"} and len(tokens) > 1
    if hybrid_genus:
        tokens = tokens[1:]
    tokens, mended = _mend_case(tokens)
    if not is_genus_word(tokens[0].rstrip("?,")):
        return ParsedName(verbatim=text)
    parts = _Reading(tokens)
    formula = parts.formula()
    if formula is not None:
        return _formula(text, tokens, formula, mended)
    return parts.finish(text, mended, hybrid_genus)


def _mend_case(tokens: list[str]) -> tuple[list[str], bool]:
    """Words in the letter case of names, where all are capitals or all are small."""
    text = " ".join(tokens)
    if len(tokens[0]) > 2 and tokens[0].isupper() and is_genus_word(tokens[0].capitalize()):
        # Genus in capitals; the epithet may be, too. Authors behind it keep theirs.
        rest = tokens[1:]
        if text.isupper():
            end = 1 if _YEAR.search(text) else 2
            rest = [word.lower() if i < end else word for i, word in enumerate(rest)]
        return [tokens[0].capitalize(), *rest], True
    if text.islower() and len(tokens) > 1 and all(map(is_epithet, tokens[:2])):
        return [tokens[0].capitalize(), *tokens[1:]], True
    return tokens, False


def _is_hybrid_sign(word: str) -> bool:
    return word in {"×", "x", "X"}


class _Reading:
    """A name read from left to right."""

    def __init__(self, tokens: list[str]) -> None:
        first = tokens[0].rstrip("?,")
        self.doubt = "?" if tokens[0].endswith("?") else ""
        self.uninomial, self.tokens, self.place = first, tokens, 1
        self.subgenus = self.rank = self.mark = self.sense = self.capital = ""
        self.hybrid: Hybrid = ""
        self.epithets: list[str] = []
        self.authors: list[str] = []

    def formula(self) -> int | None:
        """Where the sign between two parents stands, None if there is none."""
        for i, word in enumerate(self.tokens):
            if i and _is_hybrid_sign(word) and i + 1 < len(self.tokens):
                following = self.tokens[i + 1]
                named = i == 1 and _is_epithet(following)
                if not named and (_is_epithet(following) or following[:1].isupper()):
                    return i
        return None

    def finish(self, text: str, mended: bool, hybrid_genus: bool) -> ParsedName:
        """Read all words, and what they are."""
        while self.place < len(self.tokens):
            self._read(self.tokens[self.place])
        if not self.epithets and not self.rank:
            self.rank = rank_of_ending(self.uninomial)
        elif self.epithets and not self.mark:
            self.rank = ("species", "subspecies")[len(self.epithets) > 1]
        authorship = " ".join(self.authors).strip(" ,;:\"'*")
        return ParsedName(
            verbatim=text,
            uninomial=self.uninomial,
            subgenus=self.subgenus,
            epithets=tuple(self.epithets),
            rank=self.rank,
            mark=self.mark,
            hybrid="genus" if hybrid_genus else self.hybrid,
            doubt=self.doubt,
            authorship=authorship,
            sense=self.sense,
            mended=mended,
            capital=self.capital,
        )

    def _read(self, word: str) -> None:
        """Take in the word at `place`, and those that belong to it."""
        bare = word.rstrip(".,").lower()
        following = self.tokens[self.place + 1] if self.place + 1 < len(self.tokens) else ""
        self.place += 1
        if self.sense or (bare in _SENSE and word[:1].islower()):
            self.sense = f"{self.sense} {word}".strip()
        elif self._is_doubt(word, bare, following):
            self._doubt(word)
        elif bare in RANK_MARKS and word[:1].islower() and self._marks(word, following):
            self._below_species(word, bare, following)
        elif bare in _ABOVE_SPECIES and not self.epithets and is_genus_word(following):
            self.uninomial, self.rank = following, _ABOVE_SPECIES[bare]
            self.place += 1
        elif _is_hybrid_sign(word) and not self.epithets and _is_epithet(following):
            self.hybrid = "species"
        elif self.authors:
            self.authors.append(word)
        elif not self._takes(word, following):
            self._author(word, bare)

    def _is_doubt(self, word: str, bare: str, following: str) -> bool:
        if word in {"?", "(?)"}:
            return True
        if bare not in _DOUBT or word[:1].isupper():
            return False
        # Aus bus sp. nov. is no doubt; and an author may be called Gen.
        return not (self.epithets and following.startswith(("nov", "n.")))

    def _doubt(self, word: str) -> None:
        """From the mark on nothing is sure, so nothing more is read."""
        self.doubt = self.doubt or word
        self.place = len(self.tokens)

    def _author(self, word: str, bare: str) -> None:
        """The first word behind the name: an author, or something that was not understood."""
        if word[:1].isupper() or word[0] in "([" or bare in _PARTICLES or _ELIDED.match(word):
            self.authors.append(word)
        else:
            self._doubt(word)

    def _marks(self, word: str, following: str) -> bool:
        """Whether this mark stands before an epithet below species; f. may be an author's son."""
        if not self.epithets or not _is_epithet(following.rstrip(",?")):
            return False
        return word.endswith(".") or len(word) > 2 or not self.authors

    def _below_species(self, word: str, bare: str, following: str) -> None:
        self.epithets = [*self.epithets[:1], following.rstrip(",")]
        self.rank = RANK_MARKS[bare]
        self.mark = _MARK.get(self.rank, f"{bare}.")
        self.authors = []
        self.place += 1

    def _takes(self, word: str, following: str) -> bool:
        """Take in a word as subgenus or epithet; whether it was one."""
        found = _SUBGENUS.fullmatch(word)
        if found and not self.epithets and not self.subgenus:
            if _is_epithet(following.rstrip(",?")) or following in {"×", "x"}:
                self.subgenus = found[1]
                return True
            if not following or not _YEAR.search(following):
                self.subgenus = self.uninomial = found[1]
                self.rank = "subgenus"
                return True
        bare = word.rstrip(",?")
        if _is_epithet(bare) and len(self.epithets) < 3 and not self._is_author(bare, following):
            self.epithets.append(bare)
            self.doubt = self.doubt or ("?" if word.endswith("?") else "")
            return True
        if not self.epithets and is_genus_word(bare) and self.place == 2:
            self.capital = bare.lower()
        return False

    def _is_author(self, word: str, following: str) -> bool:
        """Whether a small word is part of an author's name: de Candolle, van der Linden."""
        if word not in _PARTICLES:
            return False
        return not self.epithets or not following or not _is_epithet(following) or len(word) < 4


def _is_epithet(word: str) -> bool:
    """Whether `word` has the form of an epithet, digits and apostrophes included."""
    if _EPITHET.fullmatch(word) is None or len(word) < 2 or word in _PARTICLES & {"et", "ex", "in"}:
        return False
    return is_epithet(word) or not word.isalpha()


def _formula(text: str, tokens: list[str], sign: int, mended: bool) -> ParsedName:
    """A hybrid named by its parents; the second may leave out the genus or shorten it."""
    first = _Reading(tokens[:sign]).finish(" ".join(tokens[:sign]), mended, False)
    rest = tokens[sign + 1 :]
    initial = rest[0].rstrip(".")
    if _is_epithet(rest[0]) or (len(initial) <= 2 and first.uninomial.startswith(initial)):
        rest = [first.uninomial, *rest[0 if _is_epithet(rest[0]) else 1 :]]
    second = parse(" ".join(rest))
    if not second.is_name:
        return ParsedName(verbatim=text)
    others = second.parents or (second.canonical,)
    return ParsedName(
        verbatim=text,
        uninomial=first.uninomial,
        hybrid="formula",
        parents=(first.canonical, *others),
        rank="species",
        mended=mended,
        doubt=first.doubt or second.doubt,
    )


def rank_of_ending(uninomial: str) -> str:
    """The rank that the codes reserve an ending for, "" for a name that has none."""
    for ending, rank in _ENDINGS:
        if uninomial.endswith(ending) and len(uninomial) > len(ending) + 2:
            return rank
    return ""
