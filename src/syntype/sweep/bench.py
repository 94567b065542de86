"""What a model is scored with: its vectors of each split, its words, and what names the scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int

from syntype.clustering.kmeans import kmeans
from syntype.clustering.quality import agreement
from syntype.configs import Task, TaskOptions
from syntype.data.order import rows_in_order
from syntype.embeddings.texts import text_vectors
from syntype.encoders.encoder import require_text
from syntype.encoders.load import resolve_device
from syntype.evaluation.episodes import Episodes
from syntype.evaluation.tasks import Bench, Side, Texts
from syntype.provenance import plain

if TYPE_CHECKING:
    from syntype.sweep.workshop import Model, Workshop

_OPTIONS_OF: Mapping[Task, tuple[str, ...]] = {
    "retrieval": ("evaluate.protocol", "evaluate.recall_at"),
    "knn": ("evaluate.protocol", "evaluate.top_at", "knn"),
    "clustering": ("evaluate.seed",),
    "few-shot": ("few_shot",),
    "linear-probe": ("evaluate.top_at", "probe"),
    "zero-shot": ("evaluate.top_at", "zero_shot"),
}


def determining(task: Task, options: TaskOptions) -> dict[str, Any]:
    """The options that scores of `task` depend on: those that only draw intervals are not."""
    content = plain(options)
    if task == "few-shot" and options.few_shot.replay:  # what is in it, not where it lies
        content["few_shot"]["replay"] = Episodes.load(Path(options.few_shot.replay)).key
    found: dict[str, Any] = {"task": task, "ranks": content["evaluate"]["ranks"]}
    for name in _OPTIONS_OF[task]:
        part, _, field = name.partition(".")
        found[name] = content[part][field] if field else content[part]
    return found


def bench_of(workshop: "Workshop", model: "Model", split: str, options: TaskOptions) -> Bench:
    """Everything that a task may look at to score `model` on a split."""

    def side(name: str) -> Side:
        vectors, samples = workshop.part(model, name)
        return Side(vectors, samples.table)

    def optional(name: str) -> Side | None:
        return side(name) if len(workshop.dataset.where(split=name)) else None

    def texts() -> Texts:
        encoder = workshop.encoder(model.spec)
        require_text(encoder)
        assert encoder.logit_scale is not None

        def encode(names: Sequence[str]) -> Float[np.ndarray, "t d"]:
            return text_vectors(encoder, names, workshop.place.workspace, workshop.progress)

        return Texts(encode, encoder.logit_scale)

    def everything() -> Side:
        found = side("all")
        if not options.few_shot.order:
            return found
        order = Path(options.few_shot.order).expanduser()
        rows = rows_in_order(found.samples.column("id").to_pylist(), order)
        return Side(found.vectors[rows], found.samples.take(pa.array(rows)))

    device, seed = resolve_device(workshop.place.device), options.evaluate.seed

    def cluster(vectors: Float[np.ndarray, "q d"], k: int) -> Int[np.ndarray, "q"]:
        n_distinct = len(np.unique(vectors, axis=0))
        found = kmeans(torch.from_numpy(vectors), min(k, n_distinct), seed=seed, device=device)
        return found.labels.cpu().numpy()

    train = optional("train")
    return Bench(
        query=side(split),
        train=train,
        val=optional("val"),
        everything=everything(),
        n_train=workshop.dataset.where(split="train").counts("species") if train else None,
        texts=texts,
        cluster=cluster,
        agreement=_agreement,
    )


def _agreement(clusters: Int[np.ndarray, "q"], names: Sequence[str]) -> dict[str, float]:
    truth = np.unique(np.asarray(names, dtype=object), return_inverse=True)[1]
    return dict(plain(agreement(clusters, truth)))
