"""A taxon as words, for encoders that read text beside pictures.

The five forms are those of BioCLIP (Stevens et al. 2024, section 3.2):

    scientific          Parus major
    common              Great Tit
    taxonomic           Animalia Chordata Aves Passeriformes Paridae Parus major
    scientific+common   Parus major with common name Great Tit
    taxonomic+common    Animalia ... Parus major with common name Great Tit

What differs: unknown ranks are left out instead of leaving gaps, and a taxon without a common
name falls back to its scientific one, so that every taxon has a caption.
"""

from typing import Literal, get_args

from syntype.errors import UsageError
from syntype.taxonomy.taxon import Taxon

TextForm = Literal["scientific", "common", "taxonomic", "scientific+common", "taxonomic+common"]
TEXT_FORMS: tuple[TextForm, ...] = get_args(TextForm)
PROMPT = "a photo of {}."
"""The prompt of BioCLIP's training captions."""


def in_words(taxon: Taxon, form: TextForm = "taxonomic+common") -> str:
    """`taxon` in words."""
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


def _seven_ranks(taxon: Taxon) -> str:
    """The known ranks from the root; a species name that starts with its genus is not repeated."""
    above = [name for name in taxon.lineage[:-1] if name]
    if above and taxon.scientific_name.split(" ")[0] == above[-1]:
        above.pop()
    return " ".join([*above, taxon.scientific_name])
