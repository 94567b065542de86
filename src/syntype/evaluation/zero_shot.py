"""Zero-shot classification: which species' name, put into words, lies nearest to the picture?

The procedure is that of BioCLIP's script (Stevens et al. 2024; zero_shot_iid.py), which is CLIP's
(Radford et al. 2021, section 3.1): a class is the mean of the unit vectors of its texts, brought to
unit length again, and a picture's probability of a class is

    p(class) = softmax over classes of  logit scale x cosine(picture, class)

with the scale that the model learned. Sigmoid models (SigLIP) add a bias, which the softmax does
not see. At higher ranks the probabilities of the species are summed, as pybioclip does, or the
names at that rank are put into words and compared like species.

What differs: a class is a species, not a text. Species that share all their words (two that are
called "Minnow") stay two classes that nothing can tell apart; the first in the alphabet is
answered, and the summary counts them (`nAmbiguous`). In the script they are one class.

    n queries, c classes, d dimensions, t texts, b queries in a block
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from syntype.configs import EvaluateConfig, ZeroShotConfig
from syntype.errors import DataError, VectorError
from syntype.evaluation.classification import Answer, Classes, classify
from syntype.evaluation.items import Items
from syntype.evaluation.prompts import class_texts
from syntype.evaluation.scores import Scores
from syntype.taxonomy.taxon import Taxon
from syntype.taxonomy.text import taxa_at, taxa_of

EncodeTexts = Callable[[Sequence[str]], Float[np.ndarray, "t d"]]
"""Texts to unit vectors."""

_TEXTS = 2**16  # texts asked for at a time: 200 MB of vectors of 768 dimensions
_SHORTEST = 1e-6  # a mean of unit vectors below this points nowhere


class Named(NamedTuple):
    """What can be answered at a rank above species.

    Attributes:
        names: Ascending, each once.
        vectors: The unit vector of each.
    """

    names: Sequence[str]
    vectors: Float[np.ndarray, "c d"]


@dataclass(frozen=True)
class Candidates:
    """What can be answered, and the vectors of its words.

    Attributes:
        classes: The species.
        vectors: The unit vector of each.
        higher: Ranks whose names have vectors of their own.
    """

    classes: Classes
    vectors: Float[np.ndarray, "c d"]
    higher: Mapping[str, Named]

    @property
    def n_ambiguous(self) -> int:
        """How many species share all their words with another one, as their vectors tell."""
        _, counts = np.unique(self.vectors, axis=0, return_counts=True)
        return int(counts[counts > 1].sum())

    @classmethod
    def of(
        cls,
        samples: pa.Table,
        encode: EncodeTexts,
        ranks: Sequence[str],
        options: ZeroShotConfig,
    ) -> "Candidates":
        """All species of `samples`.

        Args:
            samples: Rows of a dataset, whose species can be answered: those of the queries and of
                the training split, as a rule. Names and labels are the most frequent ones.
            encode: The text encoder.
            ranks: Ranks that are scored; with `options.higher` "embed", those above species get
                vectors of their own.
            options: How names are put into words.

        Raises:
            DataError: There are fewer than two species.
            VectorError: The texts of a class cancel out.
        """
        taxa = taxa_of(samples)
        species = taxa_at(taxa)
        if len(species) < 2:
            raise DataError(
                f"The samples have {len(species)} known species, and a choice needs two. Take more "
                "of the data (--data, --split-fractions), or check its labels."
            )
        classes = Classes(list(species), [taxon.lineage for taxon in species.values()])
        asked = [rank for rank in ranks if rank != "species" and options.higher == "embed"]
        above = {rank: named for rank in asked if (named := taxa_at(taxa, rank))}

        def vectors(named: Mapping[str, Taxon]) -> Float[np.ndarray, "c d"]:
            """The unit vectors of taxa in words."""
            return class_vectors(encode, class_texts(named.values(), options))

        higher = {rank: Named(list(named), vectors(named)) for rank, named in above.items()}
        return cls(classes, vectors(species), higher)


def class_vectors(encode: EncodeTexts, texts: Sequence[Sequence[str]]) -> Float[np.ndarray, "c d"]:
    """The unit vector of each class: the mean of its texts' unit vectors, at unit length again.

    Args:
        encode: The text encoder; it is given different texts, at most 2^16 at a time.
        texts: The texts of each class, at least one.

    Raises:
        VectorError: The texts of a class cancel out.
    """
    step = max(1, _TEXTS // max(map(len, texts)))
    rows: list[Float[np.ndarray, "d"]] = []
    for start in range(0, len(texts), step):
        block = texts[start : start + step]
        different = sorted({text for one in block for text in one})
        place = {text: row for row, text in enumerate(different)}
        vectors = encode(different)
        rows += [vectors[[place[text] for text in one]].mean(0, np.float64) for one in block]
    means = np.stack(rows)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    broken = np.flatnonzero(~(lengths > _SHORTEST))
    if len(broken):
        raise VectorError(
            f"The vectors of the {len(texts[broken[0]])} texts of a class cancel out, the first "
            f"text {texts[broken[0]][0]!r}. Check the encoder's text tower, or take the bare name: "
            "--zero-shot.templates none."
        )
    return (means / lengths).astype(np.float32)


def zero_shot(
    query: Items,
    candidates: Candidates,
    logit_scale: float,
    config: EvaluateConfig,
    options: ZeroShotConfig,
    *,
    n_train: Mapping[str, int] | None = None,
) -> Scores:
    """Score an encoder by the names that lie nearest to its pictures.

    Args:
        query: The queries, read with all seven ranks.
        candidates: What can be answered; made with the same options.
        logit_scale: What cosines are multiplied by, `Encoder.logit_scale`.
        config: Ranks, depths, resamples.
        options: How names were put into words.
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".

    Raises:
        VectorError: Pictures and texts differ in dimensions, or a vector is broken.
    """
    if query.vectors.shape[1] != candidates.vectors.shape[1]:
        raise VectorError(
            f"The pictures have {query.vectors.shape[1]} dimensions and the names have "
            f"{candidates.vectors.shape[1]}: they come from two encoders. Embed both with one."
        )
    about = {
        "task": "zero-shot",
        "names": options.names,
        "templates": options.templates,
        "higher": options.higher,
        "logitScale": logit_scale,
        "nClasses": len(candidates.classes),
        "nAmbiguous": candidates.n_ambiguous,
    }
    by_rank = {
        rank: (named.names, _answers(query, named.vectors, logit_scale))
        for rank, named in candidates.higher.items()
    }
    return classify(
        query,
        candidates.classes,
        _answers(query, candidates.vectors, logit_scale),
        config,
        kind="probability",
        about=about,
        n_train=n_train,
        by_rank=by_rank,
    )


def _answers(query: Items, vectors: Float[np.ndarray, "c d"], logit_scale: float) -> Answer:
    """What gives the probability of each class to queries from one number to another.

    Classes of equal vectors share one column of the product, which might round them differently
    and so break a tie before the alphabet could.
    """
    distinct, column = np.unique(vectors, axis=0, return_inverse=True)
    column = column.reshape(-1)  # NumPy 2.0 gives it a second axis

    def answer(start: int, stop: int) -> Float[np.ndarray, "b c"]:
        """Softmax over the classes."""
        logits = np.float32(logit_scale) * (query.vectors[start:stop] @ distinct.T)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))[:, column]
        return odds / odds.sum(axis=1, keepdims=True)

    return answer
