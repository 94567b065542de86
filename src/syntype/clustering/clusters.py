"""The verb `cluster`, and its artefact: centres, the labels of every sample, quality.

Legend: n samples, d dimensions, k clusters, l labels a sample.

`docs/reference/clustering.md` specifies the two files; a test compares that page with this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from torch import Tensor

from syntype import files
from syntype.clustering.kmeans import KMeansResult, kmeans
from syntype.clustering.nearest import assign
from syntype.clustering.rows import Rows, Vectors
from syntype.clustering.within import cluster_within
from syntype.configs import ClusterConfig
from syntype.errors import DataNotFoundError, ResourceError, UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import plain

TENSORS = "clusters.safetensors"
DESCRIPTION = "clusters.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Clusters of samples.

    Attributes:
        ids: The clustered samples, n.
        centres: Unit centres, k x d, float32.
        labels: The l nearest centres of each sample, the nearest first (n x l, int32).
        cosines: The cosines to them (n x l, float32).
        objective: Mean cosine of the samples to their first label's centre.
        history: That mean for the first centres and after each iteration; empty for clusters
            within species.
        iterations: Iterations run; 0 for clusters within species.
        n_repaired: How many times an empty cluster was given a vector.
        owners: The species (or group) that each cluster belongs to, for clusters within species;
            else empty.
        config: What was asked for, as plain JSON.
        quality: `Quality.as_json()`, or empty where no species are known.
    """

    ids: Sequence[str]
    centres: Float[np.ndarray, "k d"]
    labels: Int[np.ndarray, "n l"]
    cosines: Float[np.ndarray, "n l"]
    objective: float
    history: Sequence[float] = ()
    iterations: int = 0
    n_repaired: int = 0
    owners: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centres)

    @property
    def label(self) -> Int[np.ndarray, "n"]:
        """The one cluster of each sample: its nearest centre."""
        return self.labels[:, 0]

    def save(self, folder: Path) -> None:
        """Write the two files into `folder`, the description last.

        Raises:
            ResourceError: The disk is full or the folder may not be written.
        """
        tensors = {"centres": self.centres, "labels": self.labels, "cosines": self.cosines}
        contiguous = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
        files.write_bytes(folder / TENSORS, save(contiguous))
        description = {
            "format": FORMAT,
            "k": self.k,
            "objective": self.objective,
            "history": self.history,
            "iterations": self.iterations,
            "n_repaired": self.n_repaired,
            "owners": self.owners,
            "config": self.config,
            "quality": self.quality,
            "ids": self.ids,
        }
        files.write_json(folder / DESCRIPTION, plain(description))

    @classmethod
    def load(cls, folder: Path) -> "Clusters":
        """Read what `save` wrote.

        Raises:
            DataNotFoundError: There are no finished clusters in `folder`.
            ResourceError: A file is damaged, or from another version of the format.
        """
        path = folder / DESCRIPTION
        if not path.is_file():
            raise DataNotFoundError(
                f"There are no finished clusters in {folder}: run `syntype cluster` first."
            )
        description = files.as_mapping(files.read_json(path), path)
        if description.get("format") != FORMAT:
            raise ResourceError(
                f"{path} has format {description.get('format')}, this syntype reads {FORMAT}: "
                "remove the folder and run `syntype cluster` again."
            )
        try:
            tensors = load_file(folder / TENSORS)
        except (OSError, SafetensorError) as error:
            raise ResourceError(
                f"{folder / TENSORS} is missing or damaged: remove {folder} and run "
                "`syntype cluster` again."
            ) from error
        return cls(
            ids=tuple(description["ids"]),
            centres=tensors["centres"],
            labels=tensors["labels"],
            cosines=tensors["cosines"],
            objective=description["objective"],
            history=tuple(description["history"]),
            iterations=description["iterations"],
            n_repaired=description["n_repaired"],
            owners=tuple(description["owners"]),
            config=description["config"],
            quality=description["quality"],
        )


def cluster(
    vectors: Vectors,
    ids: Sequence[str],
    config: ClusterConfig,
    *,
    groups: Sequence[str] | None = None,
    first: Int[Tensor, "m"] | None = None,
    device: torch.device | str | None = None,
    progress: Progress = SILENT,
) -> Clusters:
    """Cluster samples as `config` says and give each its labels.

    The labels are the nearest centres by an exact search, also where the search during the
    iterations was pruned; but where that would leave a cluster empty, its samples stay in it.

    Args:
        vectors: Unit vectors of the samples, n x d; joint ones if `config.features` is `joint`.
        ids: Their ids.
        config: How to cluster.
        groups: The species or taxon group of each sample; needed if `config.within` asks for it.
        first: The vectors to start from, where several k share them; see `kmeans`.
        device: Where to compute; the vectors' own device by default.
        progress: Where to say how far it is.

    Raises:
        UsageError: k or the number of labels does not fit the samples, or groups are missing.
        VectorError: The vectors are broken, or too few of them differ.
    """
    if len(ids) != len(vectors):
        raise UsageError(f"{len(ids)} ids were given for {len(vectors)} vectors.")
    if config.within == "all":
        found = kmeans(
            vectors,
            config.k,
            iterations=config.iterations,
            init=config.init,
            seed=config.seed,
            search=config.search,
            first=first,
            device=device,
            progress=progress,
        )
        return from_kmeans(found, vectors, ids, config, progress=progress)
    if groups is None:
        raise UsageError(
            f"--cluster.within {config.within} needs the {config.within} of each sample."
        )
    parted = cluster_within(
        vectors,
        groups,
        config.k,
        iterations=config.iterations,
        init=config.init,
        seed=config.seed,
        search=config.search,
        device=device,
        progress=progress,
    )
    return Clusters(
        ids=ids,
        centres=parted.centres.cpu().numpy(),
        labels=parted.labels[:, None].int().cpu().numpy(),
        cosines=_own_cosines(vectors, parted.centres, parted.labels)[:, None].cpu().numpy(),
        objective=parted.objective,
        n_repaired=parted.n_repaired,
        owners=parted.owners,
        config=plain(config),
    )


def from_kmeans(
    found: KMeansResult,
    vectors: Vectors,
    ids: Sequence[str],
    config: ClusterConfig,
    *,
    progress: Progress = SILENT,
) -> Clusters:
    """The artefact of one k-means result.

    Args:
        found: What `kmeans` found.
        vectors: The same vectors.
        ids: Their ids.
        config: How they were clustered; `config.top` labels are kept for each sample.
        progress: Where to say how far it is.

    Raises:
        UsageError: More labels are asked for than there are clusters.
    """
    labels, cosines = assign(
        vectors, found.centres, top=config.top, device=found.centres.device, progress=progress
    )
    _keep_filled(labels, cosines, vectors, found)
    return Clusters(
        ids=ids,
        centres=found.centres.cpu().numpy(),
        labels=labels.int().cpu().numpy(),
        cosines=cosines.cpu().numpy(),
        objective=float(cosines[:, 0].double().mean()),
        history=found.history,
        iterations=found.iterations,
        n_repaired=found.n_repaired,
        config=plain(config),
    )


def _keep_filled(
    labels: Int[Tensor, "n l"],
    cosines: Float[Tensor, "n l"],
    vectors: Vectors,
    found: KMeansResult,
) -> None:
    """Put the samples of clusters that are nobody's first label back into them; in place."""
    empty = torch.bincount(labels[:, 0], minlength=len(found.centres)) == 0
    for row in empty[found.labels].nonzero()[:, 0].tolist():
        own = int(found.labels[row])
        cosine = Rows(vectors[row : row + 1], found.centres.device).block(0, 1) @ found.centres[own]
        others = labels[row] != own
        last = labels.shape[1] - 1
        labels[row, 1:] = labels[row][others][:last].clone()
        cosines[row, 1:] = cosines[row][others][:last].clone()
        labels[row, 0], cosines[row, 0] = own, float(cosine)


def _own_cosines(
    vectors: Vectors, centres: Float[Tensor, "k d"], labels: Int[Tensor, "n"]
) -> Float[Tensor, "n"]:
    blocks = Rows(vectors, centres.device).blocks()
    return torch.cat(
        [
            (block * centres[labels[start : start + len(block)]]).sum(dim=1)
            for start, block in blocks
        ]
    )
