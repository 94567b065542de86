"""A taxon as words, for encoders that read text beside pictures.

The five forms of a name are those of BioCLIP (Stevens et al. 2024, section 3.2), beside the label
as it was delivered:

    scientific          Parus major
    common              Great Tit
    taxonomic           Animalia Chordata Aves Passeriformes Paridae Parus major
    scientific+common   Parus major with common name Great Tit
    taxonomic+common    Animalia ... Parus major with common name Great Tit
    as-is               parus_major

What differs: unknown ranks are left out instead of leaving gaps, and a taxon without a common
name falls back to its scientific one, so that every taxon has a caption. A genus, or any taxon
above species, is put into words by the same forms: its name, or the ranks down to it.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from operator import attrgetter, methodcaller
from typing import Literal, get_args

import pyarrow as pa

from syntype.errors import UsageError
from syntype.taxonomy.taxon import NOWHERE, RANKS, Taxon

TextForm = Literal[
    "scientific", "common", "taxonomic", "scientific+common", "taxonomic+common", "as-is"
]
TEXT_FORMS: tuple[TextForm, ...] = get_args(TextForm)
PROMPT = "a photo of {}."
"""The prompt of BioCLIP's training captions."""


def in_words(taxon: Taxon, form: TextForm = "taxonomic+common") -> str:
    """`taxon` in words."""
    if form == "as-is":
        return taxon.verbatim
    if form == "common":
        return taxon.vernacular_name or taxon.scientific_name
    name = _seven_ranks(taxon) if form.startswith("taxonomic") else taxon.scientific_name
    if form.endswith("+common") and taxon.vernacular_name:
        return f"{name} with common name {taxon.vernacular_name}"
    return name


def caption(taxon: Taxon, form: TextForm = "taxonomic+common", prompt: str = PROMPT) -> str:
    """`taxon` in words inside a prompt, whose {} the words replace.

    Raises:
        UsageError: `prompt` has no place for the name.
    """
    if "{}" not in prompt:
        raise UsageError(f"The prompt {prompt!r} needs a {{}} where the name goes.")
    return prompt.replace("{}", in_words(taxon, form))


def taxa_of(samples: pa.Table) -> list[Taxon]:
    """The taxon of each row of a dataset's table."""
    columns = (
        samples.column(name).to_pylist()
        for name in ("verbatimIdentification", "scientificName", "vernacularName")
    )
    lineages = zip(*(samples.column(rank).to_pylist() for rank in RANKS), strict=True)
    return [
        Taxon(verbatim=verbatim, scientific_name=name, lineage=lineage, vernacular_name=common)
        for verbatim, name, common, lineage in zip(*columns, lineages, strict=True)
    ]


def taxa_at(taxa: Iterable[Taxon], rank: str = "species") -> dict[str, Taxon]:
    """The taxon behind each name at `rank`, in the order of the alphabet.

    Where samples of one name disagree on its label, its names or a higher rank, the most frequent
    of what is known counts, and among equals the first in the alphabet. Above species, the name
    itself stands for the label and for the scientific name, the lineage ends at `rank`, and no
    common name is known.

    Args:
        taxa: One for each sample, in any order; those without a name at `rank` are left out.
        rank: One of `RANKS`.
    """
    named: dict[str, Counter[Taxon]] = defaultdict(Counter)
    for taxon, n in Counter(taxa).items():
        if taxon.at(rank):
            named[taxon.at(rank)][taxon] = n
    return {name: _agreed(name, named[name], rank) for name in sorted(named)}


def _agreed(name: str, votes: Counter[Taxon], rank: str) -> Taxon:
    """The taxon called `name` at `rank`, by what its samples say of it."""

    def most_frequent(word: Callable[[Taxon], str]) -> str:
        """What most samples have; "" only if none has anything else."""
        counts: Counter[str] = Counter()
        for taxon, n in votes.items():
            counts[word(taxon)] += n
        return min(counts, key=lambda each: (not each, -counts[each], each))

    known = {each: most_frequent(methodcaller("at", each)) for each in RANKS}
    if rank == "species":
        return Taxon(
            verbatim=most_frequent(attrgetter("verbatim")),
            scientific_name=most_frequent(attrgetter("scientific_name")),
            lineage=NOWHERE,
            vernacular_name=most_frequent(attrgetter("vernacular_name")),
        ).with_ranks(known)
    down_to = RANKS[: RANKS.index(rank) + 1]
    above = Taxon(verbatim=name, scientific_name=name, lineage=NOWHERE)
    return above.with_ranks({each: known[each] for each in down_to})


def _seven_ranks(taxon: Taxon) -> str:
    """The known ranks from the root; a species name that starts with its genus is not repeated."""
    above = [name for name in taxon.lineage[:-1] if name]
    if above and taxon.scientific_name.split(" ")[0] == above[-1]:
        above.pop()
    return " ".join([*above, taxon.scientific_name])
