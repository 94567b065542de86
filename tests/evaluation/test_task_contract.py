"""What every task of an evaluation holds to."""

import hashlib
from dataclasses import replace
from typing import get_args

import numpy as np
import pyarrow as pa
import pytest

from fakes.taxa import SPECIES, world
from syntype.configs import EvaluateConfig, FewShotConfig, ProbeConfig, Task, TaskOptions
from syntype.errors import DataError, VectorError
from syntype.evaluation.metrics import micro_mean
from syntype.evaluation.tasks import Bench, Side, Texts, run_task

TASKS = get_args(Task)
PUBLISHED = "few-shot, published"
ALL = (*TASKS, PUBLISHED)
LEARNING = ("few-shot", "linear-probe")
OPTIONS = TaskOptions(
    evaluate=EvaluateConfig(ranks=("species", "genus"), resamples=100),
    few_shot=FewShotConfig(shots=(1, 2), episodes=2),
    probe=ProbeConfig(strengths=(1.0, 10.0), iterations=200),
)
DIM = 8


def encode(texts):
    """A unit vector for each text, from its hash."""
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in texts]
    vectors = np.stack([np.random.default_rng(seed).standard_normal(DIM) for seed in seeds])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cluster(vectors, k):
    """Clusters by the nearest of the first k coordinates: crude, but the same in any order."""
    return np.abs(vectors[:, : min(k, vectors.shape[1])]).argmax(axis=1)


def bench(query=None, train=None, val=None):
    """A bench of a drawn world, or with given sides."""
    query = query or Side(*world(60, DIM, unknown=0.1))
    train = train or Side(*world(90, DIM, seed=1, prefix="t"))
    val = val or Side(*world(40, DIM, seed=2, prefix="v"))
    sides = (query, train, val)
    return Bench(
        query=query,
        train=train,
        val=val,
        everything=Side(
            np.concatenate([side.vectors for side in sides]),
            pa.concat_tables([side.samples for side in sides]),
        ),
        n_train=dict.fromkeys(SPECIES[:4], 3),
        texts=lambda: Texts(encode, 20.0),
        cluster=cluster,
        agreement=lambda clusters, names: {},
    )


def run(task, on, options=OPTIONS):
    if task == PUBLISHED:
        options = replace(options, few_shot=replace(options.few_shot, mode="published"))
        return run_task("few-shot", on, options)[0]
    return run_task(task, on, options)[0]


def shuffled(side, seed=0):
    order = np.random.default_rng(seed).permutation(len(side.vectors))
    return Side(side.vectors[order], side.samples.take(pa.array(order))), order


@pytest.mark.parametrize("task", ALL)
def test_scores_have_a_row_for_each_query_in_its_place(task):
    whole = bench()
    scores = run(task, whole)
    asked = whole.everything if task == PUBLISHED else whole.query
    assert scores.column("id") == asked.samples["id"].to_pylist()
    for rank in ("species", "genus"):
        assert scores.column(rank) == asked.samples[rank].to_pylist()
    for name in ("unit", "taxonGroup"):
        assert scores.column(name) == asked.samples[name].to_pylist()
    assert scores.summary["task"] == ("few-shot" if task == PUBLISHED else task)
    assert scores.metrics
    unknown = np.array([name == "" for name in scores.column("species")])
    for metric in scores.metrics:
        assert np.isnan(scores.values(metric)[unknown]).all(), metric


@pytest.mark.parametrize("task", TASKS)
def test_the_order_of_rows_changes_nothing(task):
    whole = bench()
    query, order = shuffled(whole.query)
    other = bench(query, shuffled(whole.train, 1)[0], shuffled(whole.val, 2)[0])
    one, two = run(task, whole).table.take(pa.array(order)), run(task, other).table
    if task == "linear-probe":  # its fit adds in another order: equal but for rounding
        assert one["speciesPrediction"] == two["speciesPrediction"]
        return
    assert repr(one.to_pydict()) == repr(two.to_pydict())


@pytest.mark.parametrize("task", ["retrieval", "knn", "few-shot", "linear-probe", PUBLISHED])
def test_a_better_encoder_scores_better(task):
    good, bad = (
        bench(*(Side(*world(n, DIM, seed, spread=spread, prefix=p)) for n, seed, p in sides))
        for spread in (0.1, 3.0)
        for sides in [((60, 0, "s"), (90, 1, "t"), (40, 2, "v"))]
    )
    one, two = run(task, good), run(task, bad)
    metric = one.metrics[0]
    assert micro_mean(one.values(metric)) > micro_mean(two.values(metric))


@pytest.mark.parametrize("task", ALL)
def test_one_species_is_told_apart_from_nothing(task):
    sides = [Side(*world(20, DIM, seed, SPECIES[:1], prefix=p)) for seed, p in enumerate("stv")]
    whole = bench(*sides)
    if task in ("retrieval", "clustering"):
        metric = "speciesHit@1" if task == "retrieval" else "speciesBCubedF1"
        assert np.nanmin(run(task, whole).values(metric)) == 1
    else:
        with pytest.raises(DataError, match="two"):
            run(task, whole)


@pytest.mark.parametrize("task", ALL)
def test_two_species_are_enough(task):
    sides = [Side(*world(24, DIM, seed, SPECIES[:2], prefix=p)) for seed, p in enumerate("stv")]
    scores = run(task, bench(*sides))
    assert 0 <= micro_mean(scores.values(scores.metrics[0])) <= 1


@pytest.mark.parametrize("task", TASKS)
def test_a_species_with_one_picture_is_counted_apart(task):
    vectors, samples = world(30, DIM, species=SPECIES[:3])
    vectors_one, one = world(1, DIM, species=SPECIES[5:], prefix="lone")
    samples = pa.concat_tables([samples, one])
    samples = samples.set_column(1, "unit", pa.array([""] * len(samples)))  # units of their own
    query = Side(np.concatenate([vectors, vectors_one]), samples)
    train = Side(*world(60, DIM, 1, SPECIES[:3], prefix="t"))
    val = Side(*world(30, DIM, 2, SPECIES[:3], prefix="v"))
    scores = run(task, bench(query, train, val))
    lone = scores.column("id").index("lone0000")
    if task == "zero-shot":
        assert scores.column("speciesRelevant")[lone] == 1, "a name needs no other picture"
        return
    assert scores.column("speciesRelevant")[lone] == 0
    about_species = [name for name in scores.metrics if name.startswith("species")]
    assert all(np.isnan(scores.values(name)[lone]) for name in about_species)
    assert scores.summary["queries"]["species"]["nothingToFind"] == 1


@pytest.mark.parametrize("task", ALL)
def test_equal_vectors_are_ties_and_no_failure(task):
    def flat(n, prefix):
        samples = world(n, DIM, prefix=prefix)[1]
        return Side(np.full((n, DIM), 0.5, dtype=np.float32), samples)

    whole = bench(flat(40, "s"), flat(60, "t"), flat(30, "v"))
    one, two = run(task, whole), run(task, whole)
    assert repr(one.table.to_pydict()) == repr(two.table.to_pydict())


@pytest.mark.parametrize("task", ALL)
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_broken_vectors_are_refused_by_name(task, value):
    vectors, samples = world(60, DIM)
    vectors[7] = value
    with pytest.raises(VectorError, match="s0007"):
        run(task, bench(Side(vectors, samples)))


@pytest.mark.parametrize("task", ALL)
def test_vectors_of_other_rows_are_refused(task):
    vectors, samples = world(60, DIM)
    side = Side(vectors[:-1], samples)
    with pytest.raises(VectorError, match="59 vectors for 60 rows"):
        run(task, replace(bench(), query=side, everything=side))


@pytest.mark.parametrize("task", ALL)
def test_ids_that_stand_twice_are_refused(task):
    vectors, samples = world(60, DIM)
    twice = pa.array(["same", "same", *samples["id"].to_pylist()[2:]])
    samples = samples.set_column(0, "id", twice)
    side = Side(vectors, samples)
    with pytest.raises(DataError, match="occur twice"):
        run(task, replace(bench(), query=side, everything=side))


@pytest.mark.parametrize("task", ALL)
def test_no_query_is_refused(task):
    side = Side(np.zeros((0, DIM), dtype=np.float32), world(5, DIM)[1].slice(0, 0))
    with pytest.raises(DataError, match=r"[Tt]here are no"):
        run(task, replace(bench(), query=side, everything=side))


@pytest.mark.parametrize("task", LEARNING)
def test_a_missing_split_is_asked_for(task):
    with pytest.raises(DataError, match=r"learns from the train split.*--split made"):
        run(task, replace(bench(), train=None))


@pytest.mark.parametrize("task", [*LEARNING, "knn"])
def test_vectors_of_two_encoders_are_refused(task):
    options = replace(OPTIONS, evaluate=replace(OPTIONS.evaluate, protocol="gallery"))
    other = Side(*world(60, 5, 1, prefix="t"))
    with pytest.raises(VectorError, match="two encoders"):
        run(task, replace(bench(), train=other), options)
