"""What is asked of a text encoder to find a class: the class in words, in each of some sentences.

CLIP (Radford et al. 2021, section 3.1.4) puts the name of a class into 80 sentences that were
written for ImageNet and averages their vectors, and BioCLIP does the same with the names of
species. The words are those of `taxonomy.text`; the sentences are open_clip's.

    c classes, p sentences
"""

from collections.abc import Callable, Iterable, Sequence

from syntype.configs import ZeroShotConfig
from syntype.taxonomy.taxon import Taxon
from syntype.taxonomy.text import in_words

Template = Callable[[str], str]


def templates(name: str) -> Sequence[Template]:
    """The sentences called `name`: `openai`, CLIP's 80 for ImageNet, or `none`, the bare words."""
    if name == "none":
        return (str,)
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return tuple(OPENAI_IMAGENET_TEMPLATES)


def class_texts(taxa: Iterable[Taxon], options: ZeroShotConfig) -> list[list[str]]:
    """The texts of each class: its words in each sentence.

    Args:
        taxa: What each class is, as `taxonomy.text.taxa_at` tells for species or a higher rank.
        options: How it is put into words, and in which sentences.

    Returns:
        c lists of p texts each.
    """
    sentences = templates(options.templates)
    return [[put(in_words(taxon, options.names)) for put in sentences] for taxon in taxa]
