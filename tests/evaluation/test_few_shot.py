"""Few-shot scores: the published accuracies, one set of queries where clean, kept answers."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fakes.taxa import SPECIES, world
from syntype.configs import EvaluateConfig, FewShotConfig
from syntype.evaluation.episodes import Episodes
from syntype.evaluation.few_shot import few_shot
from syntype.evaluation.items import Items
from syntype.taxonomy.taxon import RANKS

CONFIG = EvaluateConfig(ranks=("species", "genus"), resamples=100)
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "few-shot.md"


def read(side):
    return Items.read(*side, RANKS, "pictures")


def restated(vectors, names, shots, folds):
    """The published script from features to accuracies, on lists that stay shuffled."""
    lists = {}
    for vector, name in zip(vectors, names, strict=True):
        lists.setdefault(name, []).append(vector)
    found = {}
    for k in shots:
        for fold in range(folds):
            random.seed(fold)
            support, rest, truth = [], [], []
            for number, members in enumerate(lists.values()):
                random.shuffle(members)
                support += members[:k]
                rest += members[k:]
                truth += [number] * len(members[k:])
            support, rest = np.vstack(support), np.vstack(rest)
            middle = support.mean(axis=0)
            support, rest = support - middle, rest - middle
            support /= np.linalg.norm(support, axis=1)[:, None]
            rest /= np.linalg.norm(rest, axis=1)[:, None]
            means = support.reshape(len(lists), k, -1).mean(axis=1)
            nearest = np.linalg.norm(means[:, None] - rest, axis=-1).argmin(axis=0)
            found.setdefault(k, []).append(float((nearest == truth).mean()))
    return found


@pytest.mark.parametrize("shots", [(1, 5), (5, 1)])
def test_published_accuracies_are_those_of_the_script(shots):
    vectors, samples = world(150, seed=3, spread=1.5)
    options = FewShotConfig(mode="published", shots=shots, episodes=4)
    scores, _ = few_shot(read((vectors, samples)), None, CONFIG, options)
    wanted = restated(vectors, samples["species"].to_pylist(), shots, 4)
    for k in shots:
        found = scores.summary["published"][str(k)]
        assert found["accuracies"] == pytest.approx(wanted[k])
        assert found["mean"] == pytest.approx(np.mean(wanted[k]))
        assert found["std"] == pytest.approx(np.std(wanted[k]))


@pytest.mark.parametrize("classifier", ["simpleshot", "ridge", "mahalanobis"])
def test_clean_scores_are_the_share_of_draws_that_were_right(classifier):
    query, train = world(60, unknown=0.1), world(120, seed=1, prefix="t")
    options = FewShotConfig(shots=(1, 3), episodes=3, classifier=classifier)
    scores, drawn = few_shot(read(query), read(train), CONFIG, options)
    truth = np.array(scores.column("species"), dtype=object)
    for k in (1, 3):
        answers = np.array(scores.column(f"answers{k}Shot"), dtype=object)
        assert answers.shape == (60, 3)
        right = (answers == truth[:, None]).mean(axis=1)
        right[truth == ""] = np.nan
        np.testing.assert_allclose(scores.values(f"species{k}Shot"), right, atol=1e-6)
        genus = (
            np.vectorize(lambda name: name[:3])(answers)
            == np.array([name[:3] or "?" for name in truth])[:, None]
        ).mean(axis=1)
        genus[truth == ""] = np.nan
        np.testing.assert_allclose(scores.values(f"genus{k}Shot"), genus, atol=1e-6)
        rows = scores.rows(f"species{k}Shot")
        assert rows.shape == (3, 60)
        np.testing.assert_allclose(rows.mean(axis=0), right, atol=1e-6)
    assert scores.summary["episodesKey"] == drawn.key
    assert scores.summary["all"]["species3Shot"]["macro"]["lower"] is not None


def test_species_with_too_few_training_pictures_are_counted_apart():
    query = world(60)
    names = world(200, seed=1, prefix="t", species=SPECIES[:4])
    few = world(2, seed=2, prefix="few", species=SPECIES[4:5])
    train = (np.concatenate([names[0], few[0]]), pa.concat_tables([names[1], few[1]]))
    scores, _ = few_shot(read(query), read(train), CONFIG, FewShotConfig(shots=(1, 5)))
    assert scores.summary["nClasses"] == 4
    assert scores.summary["nLeftOut"] == 2
    for name, relevant in zip(
        scores.column("species"), scores.column("speciesRelevant"), strict=True
    ):
        assert relevant == int(name in SPECIES[:4])


def test_saved_draws_are_replayed(tmp_path):
    query, train = read(world(40)), read(world(90, seed=1, prefix="t"))
    scores, drawn = few_shot(query, train, CONFIG, FewShotConfig(shots=(2,), seed=5))
    drawn.save(tmp_path / "episodes.parquet")
    again, _ = few_shot(
        query,
        train,
        CONFIG,
        FewShotConfig(shots=(2,), seed=6),
        episodes=Episodes.load(tmp_path / "episodes.parquet"),
    )
    assert again.table.equals(scores.table) or repr(again.table.to_pydict()) == repr(
        scores.table.to_pydict()
    )


def test_the_page_names_every_column_and_key():
    page = PAGE.read_text()
    scores, _ = few_shot(
        read(world(60)), None, CONFIG, FewShotConfig(mode="published", shots=(5,), episodes=2)
    )
    shared = {"id", "unit", "taxonGroup", "nTrain", "species", "genus"}
    for name in scores.table.column_names:
        general = name.replace("genus", "RANK").replace("species", "RANK").replace("5Shot", "kShot")
        assert name in shared or "Relevant" in name or f"`{general}`" in page, general
    for key in ("mode", "classifier", "shots", "episodes", "episodesKey", "nClasses", "nLeftOut"):
        assert f"`{key}`" in page, key
    for key in ("published", "mean", "std", "accuracies"):
        assert f"`{key}`" in page, key
