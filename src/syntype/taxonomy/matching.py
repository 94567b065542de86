"""One name against a backbone: which taxon it names, how that was found and how sure it is.

    how                   score   the name
    exact                 1       is in the backbone; its authors too, if both say who they are
    exact-other-authors   0.9     is in the backbone, by other authors
    variant               0.95    differs in the ending of an epithet (alba, albus; smithi,
                                  smithii), in a hyphen, or in what is genus and what subgenus
    fuzzy                 l       differs in typing errors; l is `spelling.likeness`
    higher-rank           0.67    is not there, but the species of a subspecies is, or what stands
                                  before a mark of doubt
    genus                 0.5     is not there, or in doubt, but its genus is
    higher-rank           0.25    is not there at all, but a taxon of the lineage as delivered is
    ambiguous             0       stands for several taxa, and nothing says which
    none                  0       is not there

A name that stands for several taxa (homonyms, and names that authors used for different things) is
decided by evidence only: the ranks kingdom to family as delivered, then the authors. Where there
is none it is ambiguous, and the note lists what it may be. A homonym of another kingdom is no match
even where it is the only one: Oenanthe the bird is not Oenanthe the plant.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from syntype.configs.resolve import ResolveConfig
from syntype.taxonomy.authors import same_authorship
from syntype.taxonomy.backbone import Backbone, Found
from syntype.taxonomy.names import ParsedName, parse
from syntype.taxonomy.spelling import allowed_errors, fold, likeness, same_but_endings
from syntype.taxonomy.taxon import NOWHERE, RANKS, Lineage

How = Literal[
    "exact",
    "exact-other-authors",
    "variant",
    "fuzzy",
    "genus",
    "higher-rank",
    "ambiguous",
    "none",
]
_EVIDENCE = RANKS[:5]
_ANIMALS, _PLANTS = "animalia", "plantae"
_SAME_KINGDOM = {
    "metazoa": _ANIMALS,
    "viridiplantae": _PLANTS,
    "archaeplastida": _PLANTS,
    "eubacteria": "bacteria",
    "monera": "bacteria",
}
_UNSURE = frozenset({"doubtful", "provisionally accepted", "ambiguous synonym", "bare name"})
_LISTED = 6
_CLOSE = 1e-9
_MOST_ERRORS = allowed_errors(99)


@dataclass(frozen=True, kw_only=True)
class Query:
    """A name and what was delivered with it.

    Attributes:
        name: As delivered, authors and all, or cleaned.
        authorship: Authors, where they stand apart.
        rank: Rank in small letters, "" where unknown.
        lineage: Names at the seven ranks; kingdom to family are evidence.
    """

    name: str
    authorship: str = ""
    rank: str = ""
    lineage: Lineage = NOWHERE


@dataclass(frozen=True, kw_only=True)
class Match:
    """What a name was found to be.

    Attributes:
        verbatim: The name as asked for.
        canonical: Without authors.
        authorship: The authors as asked for.
        how: How it was found.
        score: How sure that is, 0 to 1.
        taxon_id, name, name_authorship, rank, status: The usage that was found, all "" if none.
        accepted_id, accepted_name, accepted_authorship, accepted_rank: The name that it stands
            for: the same unless `status` says that it is a synonym.
        lineage: The seven ranks of the accepted name, "" where the backbone has none.
        notes: What a reader should know: homonyms, doubts, what decided.
    """

    verbatim: str
    canonical: str
    authorship: str = ""
    how: How = "none"
    score: float = 0.0
    taxon_id: str = ""
    name: str = ""
    name_authorship: str = ""
    rank: str = ""
    status: str = ""
    accepted_id: str = ""
    accepted_name: str = ""
    accepted_authorship: str = ""
    accepted_rank: str = ""
    lineage: Lineage = NOWHERE
    notes: tuple[str, ...] = ()

    @property
    def names_taxon(self) -> bool:
        """Whether the taxon is the one that the name names, and not one above it."""
        return self.how in {"exact", "exact-other-authors", "variant", "fuzzy"}


class _Choice(NamedTuple):
    """Which of several usages is meant: one, none of them, or it cannot be told."""

    usage: Found | None
    ambiguous: bool = False
    notes: tuple[str, ...] = ()


class _Answer(NamedTuple):
    how: How
    score: float
    choice: _Choice


@dataclass(frozen=True)
class _Asked:
    """A question, and where it is asked."""

    backbone: Backbone
    config: ResolveConfig
    query: Query
    parsed: ParsedName
    authorship: str


def match(backbone: Backbone, query: Query, config: ResolveConfig | None = None) -> Match:
    """Find what a name stands for.

    Args:
        backbone: Where.
        query: The name, and what is known beside it.
        config: What counts as found.
    """
    parsed = parse(query.name)
    authorship = query.authorship or parsed.authorship
    asked = _Asked(backbone, config or ResolveConfig(), query, parsed, authorship)
    answer = _named(asked)
    notes = _notes_on(parsed)
    if answer is None or (answer.choice.usage is None and not answer.choice.ambiguous):
        notes += answer.choice.notes if answer else ()
        answer = _above(asked)
    return _match_of(asked, answer, notes)


def _notes_on(parsed: ParsedName) -> tuple[str, ...]:
    notes = []
    if not parsed.is_name:
        notes.append("not the form of a scientific name")
    if parsed.doubt:
        notes.append(f"in doubt: {parsed.doubt}")
    if parsed.sense:
        notes.append(f"in the sense of others: {parsed.sense}")
    if parsed.mended:
        notes.append("letter case mended")
    if parsed.hybrid == "formula":
        notes.append("a hybrid named by its parents")
    return tuple(notes)


def _named(asked: _Asked) -> _Answer | None:
    """The taxon that the whole name names."""
    if asked.parsed.doubt:
        return None
    for attempt in (_exact, _variant, _fuzzy):
        answer = attempt(asked)
        if answer is not None:
            return answer
    return None


def _exact(asked: _Asked) -> _Answer | None:
    parsed = asked.parsed
    if parsed.capital:
        # Parus Major may be a bird, or the genus Parus by an author called Major.
        found = asked.backbone.named(f"{parsed.words[0]} {parsed.capital}")
        if found:
            choice = _decide(asked, found)
            return _Answer("variant", 0.95, _noted(choice, "epithet written with a capital"))
    found = asked.backbone.named(parsed.key)
    if not found:
        return None
    choice = _decide(asked, found)
    if choice.usage is None:
        return _Answer("none", 0.0, choice)
    if _is_hybrid(choice.usage) and not parsed.hybrid:
        choice = _noted(choice, "a hybrid in the backbone")
    authors = choice.usage.authorship if choice.usage else ""
    if same_authorship(asked.authorship, authors) is False:
        note = f"in the backbone by {authors}"
        return _Answer("exact-other-authors", 0.9, _noted(choice, note))
    return _Answer("exact", 1.0, choice)


def _variant(asked: _Asked) -> _Answer | None:
    parsed = asked.parsed
    if not parsed.epithets or parsed.hybrid == "formula":
        return None
    words = parsed.words
    # Endings leave the first letter alone, and to compare it is quick.
    alike = [each for each in asked.backbone.in_genus(words[0]) if each[1][0] == words[1][0]]
    keys = [" ".join(each) for each in alike if same_but_endings(words, each)]
    if not keys and parsed.subgenus:
        keys = [" ".join([fold(parsed.subgenus), *words[1:]])]
    found = [usage for key in keys for usage in asked.backbone.named(key)]
    if not found:
        return None
    choice = _decide(asked, found)
    return _Answer("variant", 0.95, _noted(choice, f"written {_name_of(choice)} there"))


def _fuzzy(asked: _Asked) -> _Answer | None:
    parsed, config = asked.parsed, asked.config
    # What had to be mended may be no scientific name at all: great tit.
    if config.fuzzy >= 1 or not parsed.is_name or parsed.mended or parsed.hybrid == "formula":
        return None
    for candidates in _misspelled(asked):
        scores: dict[str, float] = {}
        for words in _plausible(asked, candidates):
            score = likeness(parsed.words, words, config.min_length)
            if score >= config.fuzzy - _CLOSE:
                scores[" ".join(words)] = score
        while scores:
            best = max(scores.values())
            keys = sorted(key for key, score in scores.items() if score > best - _CLOSE)
            choice = _decide(asked, [each for key in keys for each in asked.backbone.named(key)])
            if choice.usage is not None or choice.ambiguous:
                note = f"written {_name_of(choice)} there"
                return _Answer("fuzzy", round(best, 4), _noted(choice, note))
            scores = {key: score for key, score in scores.items() if key not in keys}
    return None


def _misspelled(asked: _Asked) -> Iterable[Iterable[Sequence[str]]]:
    """Names that may be meant, in the order in which they are looked through.

    First those that err in the epithets or in the genus alone, then in both.
    """
    words = asked.parsed.words
    if len(words) == 1:
        yield [(word,) for word in asked.backbone.near(words[0])]
        return
    initial = words[0][0] if asked.config.same_initial else ""
    yield [
        *asked.backbone.in_genus(words[0]),
        *asked.backbone.with_epithet(words[1], initial),
    ]
    genera = [genus for genus in asked.backbone.near(words[0]) if genus != words[0]]
    yield (each for genus in genera for each in asked.backbone.in_genus(genus))


def _plausible(asked: _Asked, candidates: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Candidates that may be near enough, by what is quickly seen: number, length and initials."""
    words = asked.parsed.words
    last, length = words[-1], len(words[-1])
    for each in candidates:
        other = each[-1]
        if len(each) != len(words) or abs(len(other) - length) > _MOST_ERRORS:
            continue
        if not asked.config.same_initial or (
            other[0] == last[0] and all(map(_same_initial, words, each))
        ):
            yield each


def _same_initial(first: str, second: str) -> bool:
    return first[0] == second[0]


def _above(asked: _Asked) -> _Answer:
    """The lowest taxon above the name that is there."""
    parsed = asked.parsed
    notes: tuple[str, ...] = ()
    steps: list[tuple[str, float]] = []
    if parsed.hybrid == "formula":
        genera = {parse(parent).words[0] for parent in parsed.parents}
        steps = [(genus, 0.5) for genus in genera if len(genera) == 1]
    elif parsed.is_name:
        words = parsed.words
        if parsed.doubt and parsed.doubt != "?" and len(words) > 1:
            steps.append((parsed.key, 0.67))
        elif len(words) > 2 and not parsed.hybrid:
            steps.append((" ".join(words[:2]), 0.67))
        if len(words) > 1 or parsed.doubt:
            steps.append((words[0], 0.5))
    for key, score in steps:
        # Authors and rank are those of the name, not of what is above it.
        choice = _decide(asked, asked.backbone.named(key), above=True)
        notes += choice.notes
        if choice.usage is not None:
            how: How = "genus" if choice.usage.rank == "genus" else "higher-rank"
            return _Answer(how, score, _Choice(choice.usage, notes=notes))
    for rank, name in reversed(list(zip(_EVIDENCE, asked.query.lineage, strict=False))):
        if name:
            found = [each for each in asked.backbone.named(fold(name)) if each.rank == rank]
            choice = _decide(asked, found, above=True)
            if choice.usage is not None:
                note = f"found by its {rank} as delivered"
                return _Answer("higher-rank", 0.25, _Choice(choice.usage, notes=(*notes, note)))
    return _Answer("none", 0.0, _Choice(None, notes=notes))


def _decide(asked: _Asked, found: Sequence[Found], above: bool = False) -> _Choice:
    """Which of some usages is meant, by what was delivered beside the name."""
    backbone = asked.backbone
    fitting = _of_form(asked, found, above)
    if found and not fitting:
        return _Choice(None, notes=("no hybrid of this name in the backbone",))
    proper = [each for each in fitting if each.status != "misapplied"]
    if fitting and not proper:
        # Authors used the name for this taxon in error; whether these did, nobody can tell.
        return _Choice(None, True, (f"only misapplied: {_list(asked, fitting)}",))
    agreeing = {each: _agreement(asked, each) for each in proper}
    kept = [each for each in proper if agreeing[each] >= 0]
    if not kept:
        if not proper:
            return _Choice(None)
        return _Choice(None, notes=(f"in the backbone only as {_list(asked, proper)}",))
    notes: list[str] = []
    taxa = _taxa(backbone, kept)
    if len(taxa) > 1:
        most = max(agreeing[each] for each in kept)
        narrowed = [each for each in kept if agreeing[each] == most]
        if len(_taxa(backbone, narrowed)) == 1:
            notes.append(f"homonym decided by the lineage, not {_others(asked, kept, narrowed)}")
        kept = narrowed
    if len(_taxa(backbone, kept)) > 1 and not above:
        authors = [e for e in kept if same_authorship(asked.authorship, e.authorship)]
        if authors and len(_taxa(backbone, authors)) == 1:
            notes.append(f"homonym decided by the authors, not {_others(asked, kept, authors)}")
        kept = authors or kept
    if len(_taxa(backbone, kept)) > 1 and asked.config.homonyms == "accepted":
        accepted = [each for each in kept if each.status == "accepted"]
        if len(_taxa(backbone, accepted)) == 1:
            notes.append(f"homonym decided by status, not {_others(asked, kept, accepted)}")
            kept = accepted
    if len(_taxa(backbone, kept)) > 1:
        return _Choice(None, True, (*notes, f"may be {_list(asked, kept)}"))
    best = min(kept, key=lambda each: _preference(asked, each))
    return _Choice(best, notes=tuple(notes))


def _preference(asked: _Asked, usage: Found) -> tuple[bool, bool, bool, str]:
    """What makes one of several usages of one taxon the one to name: the smallest."""
    same = same_authorship(asked.authorship, usage.authorship)
    return same is False, usage.is_synonym, same is None, usage.taxon_id


def _of_form(asked: _Asked, found: Sequence[Found], above: bool) -> list[Found]:
    """Those of the rank and, if the name is a hybrid, the hybrids; above, no hybrid is asked."""
    if above:
        return list(found)
    hybrid = asked.parsed.hybrid
    if hybrid:
        return [each for each in found if _is_hybrid(each)]
    plain = [each for each in found if not _is_hybrid(each)] or list(found)
    for rank in (asked.query.rank, asked.parsed.rank):
        same = [each for each in plain if rank and each.rank == rank]
        if same:
            return same
    return plain


def _is_hybrid(usage: Found) -> bool:
    return usage.name.startswith("x ") or " x " in usage.name


def _agreement(asked: _Asked, usage: Found) -> int:
    """How many ranks as delivered the backbone says too; -1 where it says something else.

    Kingdom, phylum and class tell homonyms apart, if no rank agrees; what is an order or a family
    changes too often for that.
    """
    given = asked.query.lineage[: len(_EVIDENCE)]
    if not any(given):
        return 0
    agreeing, different = 0, False
    for place, name in enumerate(asked.backbone.lineage(usage)[: len(_EVIDENCE)]):
        if given[place] and name:
            same = _kingdom(given[place]) == _kingdom(name)
            agreeing += same
            different |= not same and place < 3
    return -1 if different and not agreeing else agreeing


def _kingdom(name: str) -> str:
    folded = fold(name)
    return _SAME_KINGDOM.get(folded, folded)


def _taxa(backbone: Backbone, usages: Iterable[Found]) -> set[str]:
    return {backbone.accepted(each).taxon_id for each in usages}


def _noted(choice: _Choice, note: str) -> _Choice:
    """A choice with one more note in front, if it is one."""
    return choice._replace(notes=(note, *choice.notes)) if choice.usage is not None else choice


def _name_of(choice: _Choice) -> str:
    return choice.usage.name if choice.usage else ""


def _others(asked: _Asked, kept: Sequence[Found], chosen: Sequence[Found]) -> str:
    return _list(asked, [each for each in kept if each not in chosen])


def _list(asked: _Asked, usages: Sequence[Found]) -> str:
    """Usages with what tells them apart, in the order of the alphabet."""
    told = set()
    for usage in usages:
        lineage = asked.backbone.lineage(usage)
        where = ", ".join(filter(None, (lineage[0], lineage[4] or lineage[3], usage.status)))
        told.add(f"{usage.name} {usage.authorship}".strip() + f" ({where})")
    listed = sorted(told)
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return "; ".join(listed[:_LISTED]) + more


def _match_of(asked: _Asked, answer: _Answer, notes: tuple[str, ...]) -> Match:
    usage = answer.choice.usage
    bare = Match(
        verbatim=asked.query.name,
        canonical=asked.parsed.canonical,
        authorship=asked.authorship,
        notes=(*notes, *answer.choice.notes),
    )
    if usage is None:
        return replace(bare, how="ambiguous" if answer.choice.ambiguous else "none")
    accepted = asked.backbone.accepted(usage)
    if accepted.is_synonym:
        missing = f"its accepted name {accepted.accepted} is not in the backbone, or leads back"
        bare = replace(bare, notes=(*bare.notes, missing))
    if usage.status in _UNSURE:
        bare = replace(bare, notes=(*bare.notes, f"{usage.status} in the backbone"))
    return replace(
        bare,
        how=answer.how,
        score=answer.score,
        taxon_id=usage.taxon_id,
        name=usage.name,
        name_authorship=usage.authorship,
        rank=usage.rank,
        status=usage.status,
        accepted_id=accepted.taxon_id,
        accepted_name=accepted.name,
        accepted_authorship=accepted.authorship,
        accepted_rank=accepted.rank,
        lineage=asked.backbone.lineage(usage),
    )
