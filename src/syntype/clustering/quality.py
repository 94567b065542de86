"""How well clusters match species, beside what perfect clusters of that k would reach.

AMI (`chance.py`) and ARI are corrected for chance; homogeneity, completeness, their harmonic mean
(V-measure, the same as NMI) and purity are not, and rise or fall with k by nature. Each score
therefore comes with its ceiling (`ceiling.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from sklearn import metrics

from syntype.clustering.ceiling import perfect_labels
from syntype.clustering.chance import adjusted_mutual_information
from syntype.clustering.kmeans import kmeans
from syntype.clustering.rows import Vectors
from syntype.errors import UsageError
from syntype.provenance import plain

# Joint features that close half of the gap between the picture's AMI and 1 know the label.
_LEAK_SHARE = 0.5
_LEAK_LEAST = 0.1
_LEAK_SAMPLE = 10_000


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two partitions agree; 1 is perfect in each score.

    Attributes:
        ami: Adjusted mutual information: 0 by chance.
        ari: Adjusted Rand index: 0 by chance.
        homogeneity: 1 when no cluster mixes species.
        completeness: 1 when no species is cut.
        v_measure: Harmonic mean of the two, also called NMI.
        purity: Share of the samples that belong to the commonest species of their cluster.
    """

    ami: float
    ari: float
    homogeneity: float
    completeness: float
    v_measure: float
    purity: float


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many samples the clusters hold.

    Attributes:
        smallest: Of the smallest cluster.
        median: Of the median cluster.
        largest: Of the largest cluster.
        gini: 0 when all are of one size, towards 1 when one cluster holds everything.
        n_empty: Clusters without a sample.
        n_single: Clusters of one sample.
    """

    smallest: int
    median: float
    largest: int
    gini: float
    n_empty: int
    n_single: int


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Clusters against species.

    Attributes:
        n: Samples.
        k: Clusters.
        n_species: Species among the samples.
        scores: What was reached.
        ceiling: What perfect clusters of even size reach at this k with these species.
        sizes: Sizes of the clusters.
        clusters_per_species: Mean number of clusters that a species is spread over.
        species_per_cluster: Mean number of species in a cluster that is not empty.
    """

    n: int
    k: int
    n_species: int
    scores: Agreement
    ceiling: Agreement
    sizes: Sizes
    clusters_per_species: float
    species_per_cluster: float

    def as_json(self) -> Mapping[str, Any]:
        """All of it as plain JSON types."""
        content: Mapping[str, Any] = plain(self)
        return content


def quality(labels: Int[np.ndarray, "n"], species: Sequence[str], k: int) -> Quality:
    """Compare clusters with species.

    Args:
        labels: The cluster of each sample, 0 to k - 1.
        species: The species of each sample; samples without one should be left out before.
        k: Number of clusters, empty ones included.

    Raises:
        UsageError: There are not as many labels as species, or none, or a label is out of range.
    """
    if len(labels) != len(species) or not len(labels):
        raise UsageError(
            f"{len(labels)} labels and {len(species)} species cannot be compared: pass one of "
            "each for every sample, in the same order."
        )
    if labels.min() < 0 or labels.max() >= k:
        raise UsageError(f"Labels must lie between 0 and k - 1 = {k - 1}: pass the right k.")
    names, truth = np.unique(np.asarray(species, dtype=object).astype(str), return_inverse=True)
    ones = np.ones(len(labels), dtype=np.int64)
    table = sparse.coo_array((ones, (labels, truth)), shape=(k, len(names))).tocsr()
    cells = sparse.csr_array(table > 0)
    in_cluster = np.asarray(cells.sum(axis=1))
    return Quality(
        n=len(labels),
        k=k,
        n_species=len(names),
        scores=agreement(labels, truth),
        ceiling=agreement(perfect_labels(truth, min(k, len(labels))), truth),
        sizes=sizes(labels, k),
        clusters_per_species=float(np.asarray(cells.sum(axis=0)).mean()),
        species_per_cluster=float(in_cluster[in_cluster > 0].mean()),
    )


def agreement(labels: Int[np.ndarray, "n"], truth: Int[np.ndarray, "n"]) -> Agreement:
    """All scores of one partition against the true one."""
    homogeneity, completeness, v_measure = metrics.homogeneity_completeness_v_measure(truth, labels)
    table = metrics.cluster.contingency_matrix(truth, labels, sparse=True)
    return Agreement(
        ami=adjusted_mutual_information(labels, truth),
        ari=float(metrics.adjusted_rand_score(truth, labels)),
        homogeneity=float(homogeneity),
        completeness=float(completeness),
        v_measure=float(v_measure),
        purity=float(table.max(axis=0).sum() / len(truth)),
    )


def sizes(labels: Int[np.ndarray, "n"], k: int) -> Sizes:
    """Sizes of k clusters, empty ones included."""
    counts = np.sort(np.bincount(labels, minlength=k))
    rank = np.arange(1, k + 1)
    gini = float((2 * rank - k - 1) @ counts / (k * counts.sum()))
    return Sizes(
        smallest=int(counts[0]),
        median=float(np.median(counts)),
        largest=int(counts[-1]),
        gini=gini,
        n_empty=int((counts == 0).sum()),
        n_single=int((counts == 1).sum()),
    )


def leak_warning(
    image_vectors: Vectors,
    joint_vectors: Vectors,
    species: Sequence[str],
    *,
    seed: int = 0,
) -> str | None:
    """Warn when text features tell the clustering the species that it should find by itself.

    UNICOM's joint features come from captions. A caption made from the label ("a photo of Salmo
    trutta") is the same for all pictures of a species and pulls them together, so the clusters
    become the labels. Both features are clustered with k = number of species, on every so many-th
    sample where there are more than 10,000; the rule: joint clusters whose AMI is at least 0.1
    higher, and closes half of the gap between the image clusters' AMI and 1.

    Args:
        image_vectors: Unit vectors of the pictures, n x d.
        joint_vectors: Unit joint vectors of the same pictures, n x d.
        species: Their species.
        seed: Of the clustering.

    Returns:
        The warning, or None where there is no sign of a leak.
    """
    step = -(-len(species) // _LEAK_SAMPLE)
    names, truth = np.unique(
        np.asarray(species, dtype=object).astype(str)[::step], return_inverse=True
    )
    if len(names) < 2:
        return None
    image, joint = (
        _ami(vectors[::step], truth, len(names), seed) for vectors in (image_vectors, joint_vectors)
    )
    if joint - image < max(_LEAK_LEAST, _LEAK_SHARE * (1 - image)):
        return None
    return (
        f"The text features seem to carry the label: clusters of joint features agree with the "
        f"species far better (AMI {joint:.2f}) than clusters of the pictures alone ({image:.2f}). "
        "Scores of what is trained on them say little about pictures: use --cluster.features "
        "image, or texts that do not name the species."
    )


def _ami(vectors: Vectors, truth: Int[np.ndarray, "n"], k: int, seed: int) -> float:
    found = kmeans(vectors, k, iterations=10, seed=seed).labels.cpu().numpy()
    return adjusted_mutual_information(found, truth)


def joint_features(
    image: Float[np.ndarray, "n d"], text: Float[np.ndarray, "m w"]
) -> Float[np.ndarray, "n d"]:
    """UNICOM's joint features: the normalised mean of a picture's and its text's unit vector.

    Args:
        image: Unit vectors of the pictures, n x d.
        text: Unit vectors of their texts; m x w must be n x d.

    Raises:
        UsageError: The two do not have the same shape, or a pair cancels out.
    """
    if image.shape != text.shape:
        raise UsageError(
            f"Joint features need one text vector for each picture, of the same width: got "
            f"{image.shape} for pictures and {text.shape} for texts."
        )
    mean = (image.astype(np.float32) + text.astype(np.float32)) / 2
    norms = np.linalg.norm(mean, axis=1, keepdims=True)
    if not norms.all():
        raise UsageError(
            f"The picture and the text of sample number {int(np.argmin(norms))} point in opposite "
            "directions, so their mean has none. Use --cluster.features image."
        )
    return mean / norms
