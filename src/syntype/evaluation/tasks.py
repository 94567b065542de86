"""The tasks of an evaluation behind one call: vectors with their samples in, `Scores` out.

Each task is a function of its own module; what they differ in is what they look at:

    retrieval      similarity.py     other queries, or the training pictures
    knn            knn.py            likewise
    clustering     partition.py      the queries alone
    few-shot       few_shot.py       a few training pictures of each species
    linear-probe   linear_probe.py   all training pictures; the validation split chooses the penalty
    zero-shot      zero_shot.py      names in words, for encoders that read text
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from syntype.configs import Task, TaskOptions
from syntype.errors import DataError
from syntype.evaluation.episodes import Episodes
from syntype.evaluation.few_shot import few_shot
from syntype.evaluation.items import Items
from syntype.evaluation.knn import knn
from syntype.evaluation.linear_probe import linear_probe
from syntype.evaluation.partition import Agreement, Cluster, partition
from syntype.evaluation.scores import Scores
from syntype.evaluation.similarity import retrieve
from syntype.evaluation.zero_shot import Candidates, EncodeTexts, zero_shot
from syntype.taxonomy.taxon import RANKS


@dataclass(frozen=True)
class Side:
    """Vectors (n x d) and their rows of the dataset's table."""

    vectors: Float[np.ndarray, "n d"]
    samples: pa.Table

    def read(self, name: str) -> Items:
        """Checked and sorted; `name` is what messages call them."""
        return Items.read(self.vectors, self.samples, RANKS, name)


@dataclass(frozen=True)
class Texts:
    """What reads names in words.

    Attributes:
        encode: Texts to unit vectors.
        logit_scale: What the model multiplies cosines by.
    """

    encode: EncodeTexts
    logit_scale: float


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Everything that a task may look at; each says what it needs by asking for it.

    Attributes:
        query: The scored split.
        train: The training split; None where there is none.
        val: The validation split; None where there is none.
        everything: All splits together.
        n_train: Training pictures of each species; a species it lacks has 0, None is "unknown".
        texts: The text side of the encoder; called only by tasks that read.
        cluster: How to cluster unit vectors.
        agreement: How to score a whole partition.
    """

    query: Side
    train: Side | None = None
    val: Side | None = None
    everything: Side | None = None
    n_train: Mapping[str, int] | None = None
    texts: Callable[[], Texts] | None = None
    cluster: Cluster | None = None
    agreement: Agreement | None = None


def run_task(task: Task, bench: Bench, options: TaskOptions) -> tuple[Scores, Episodes | None]:
    """Score an encoder on one task.

    Returns:
        The scores, and the draws behind few-shot scores, to be published with them.

    Raises:
        DataError: A split that the task needs is missing or cannot be used.
        VectorError: Vectors are broken or do not fit each other.
        EncoderError: The task reads text and the encoder does not.
        UsageError: Options contradict the data.
    """
    return _TASKS[task](bench, options)


def learns(task: Task, options: TaskOptions) -> bool:
    """Whether the task looks at the training split, which must then not be among the queries."""
    if task in ("retrieval", "knn"):
        return options.evaluate.protocol == "gallery"
    return task == "linear-probe" or (task == "few-shot" and options.few_shot.mode == "clean")


_Answer = tuple[Scores, Episodes | None]


def _retrieval(bench: Bench, options: TaskOptions) -> _Answer:
    gallery = None
    if options.evaluate.protocol == "gallery":
        train = _needed(bench.train, "retrieval with --evaluate.protocol gallery", "train")
        gallery = (train.vectors, train.samples)
    query = bench.query
    return (
        retrieve(
            query.vectors, query.samples, options.evaluate, gallery=gallery, n_train=bench.n_train
        ),
        None,
    )


def _knn(bench: Bench, options: TaskOptions) -> _Answer:
    gallery = None
    if options.evaluate.protocol == "gallery":
        gallery = _needed(bench.train, "knn with --evaluate.protocol gallery", "train")
    others = None if gallery is None else gallery.read("gallery")
    query = bench.query.read("queries")
    return knn(query, others, options.evaluate, options.knn, n_train=bench.n_train), None


def _clustering(bench: Bench, options: TaskOptions) -> _Answer:
    assert bench.cluster is not None
    assert bench.agreement is not None
    query = bench.query.read("queries")
    found = partition(
        query, bench.cluster, bench.agreement, options.evaluate, n_train=bench.n_train
    )
    return found, None


def _few_shot(bench: Bench, options: TaskOptions) -> _Answer:
    if options.few_shot.mode == "published":
        query = _needed(bench.everything, "few-shot", "train").read("pictures")
        train = None
    else:
        query = bench.query.read("queries")
        train = _needed(bench.train, "few-shot (but for --few-shot.mode published)", "train").read(
            "training pictures"
        )
    replay = options.few_shot.replay
    return few_shot(
        query,
        train,
        options.evaluate,
        options.few_shot,
        episodes=Episodes.load(Path(replay)) if replay else None,
        n_train=bench.n_train,
    )


def _linear_probe(bench: Bench, options: TaskOptions) -> _Answer:
    train = _needed(bench.train, "linear-probe", "train").read("training pictures")
    val = _needed(bench.val, "linear-probe", "val").read("validation pictures")
    query = bench.query.read("queries")
    found = linear_probe(query, train, val, options.evaluate, options.probe, n_train=bench.n_train)
    return found, None


def _zero_shot(bench: Bench, options: TaskOptions) -> _Answer:
    assert bench.texts is not None
    query = bench.query.read("queries")
    texts = bench.texts()
    whole = bench.everything or bench.query
    candidates = Candidates.of(
        whole.samples, texts.encode, options.evaluate.ranks, options.zero_shot
    )
    found = zero_shot(
        query,
        candidates,
        texts.logit_scale,
        options.evaluate,
        options.zero_shot,
        n_train=bench.n_train,
    )
    return found, None


_TASKS: Mapping[Task, Callable[[Bench, TaskOptions], _Answer]] = {
    "retrieval": _retrieval,
    "knn": _knn,
    "clustering": _clustering,
    "few-shot": _few_shot,
    "linear-probe": _linear_probe,
    "zero-shot": _zero_shot,
}


def _needed(side: Side | None, task: str, split: str) -> Side:
    if side is None:
        raise DataError(
            f"The task {task} learns from the {split} split, and these data have none. Make one "
            "with --split made, or take a task that needs none: --task retrieval."
        )
    return side
