"""Zero-shot classification by combinations of modalities, and its baselines."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.configs import EvaluateConfig
from syntype.errors import DataError, VectorError
from syntype.evaluation.classification import Classes
from syntype.evaluation.combined import (
    Answers,
    answers_by_place,
    answers_by_probabilities,
    answers_by_vectors,
    combine,
    shuffled,
)
from syntype.taxonomy.taxon import NOWHERE

CONFIG = EvaluateConfig(resamples=300, confidence=0.9, ranks=("species", "genus"), top_at=(1, 2))
NAMES = ["aa", "ab", "ba", "bb"]
CLASSES = Classes(NAMES, [(*NOWHERE[:5], name[0], name) for name in NAMES])


def labels(species):
    return {"species": species, "genus": [name[:1] for name in species]}


def units(n):
    return [f"u{i}" for i in range(n)]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 12), st.integers(2, 9), st.integers(1, 12), st.integers(0, 10**6))
def test_answers_are_those_of_a_plain_sort(n, c, depth, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (n, 3)).astype(np.float32)
    names = rng.integers(-2, 3, (c, 3)).astype(np.float32)  # often equal
    cosines = vectors @ names.T
    want = np.argsort(-cosines, axis=1, kind="stable")[:, :depth]
    np.testing.assert_array_equal(answers_by_vectors(vectors, names, depth), want)
    np.testing.assert_array_equal(answers_by_probabilities(cosines, depth), want)


def test_what_does_not_fit_is_refused():
    with pytest.raises(VectorError, match="not of one space"):
        answers_by_vectors(np.ones((1, 2), np.float32), np.ones((2, 3), np.float32))
    with pytest.raises(VectorError, match="row 1"):
        answers_by_probabilities(np.array([[0.5, 0.5], [np.nan, 1]]))
    one = Answers(("image",), np.array([0]), np.array([[0]]))
    with pytest.raises(DataError, match="each once"):
        combine(labels(["aa"]), units(1), CLASSES, [one, one], CONFIG)
    with pytest.raises(DataError, match="None of the 1 rows"):
        combine(labels(["zz"]), units(1), CLASSES, [one], CONFIG)


def world(n=200, seed=0):
    """Answers right with a known chance: sound helps image, climate hurts it."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, n)
    chances = {("image",): 0.6, ("sound",): 0.5, ("image", "sound"): 0.85, ("climate",): 0.25}
    chances[("image", "climate")] = 0.4
    answers = []
    for modalities, chance in chances.items():
        right = rng.uniform(size=n) < chance
        first = np.where(right, truth, (truth + rng.integers(1, 4, n)) % 4)
        rows = np.arange(0, n, 2) if "sound" in modalities else np.arange(n)
        both = np.stack([first, (first + 1) % 4], axis=1)[rows]
        answers.append(Answers(modalities, rows, both))
    return [NAMES[i] for i in truth], answers


def test_scores_and_gains_are_means_over_the_rows_that_can_be_answered():
    species, answers = world()
    species[0] = "zz"  # no class
    species[1] = ""
    found = combine(labels(species), units(200), CLASSES, answers, CONFIG)
    assert found.metric == "speciesTop@1"
    assert (found.n_classes, found.n_unanswerable) == (4, 2)
    by_name = {one.name: one for one in found.scored}
    assert set(by_name) == {"image", "sound", "image + sound", "climate", "image + climate"}
    assert (by_name["image"].n, by_name["image"].missing) == (198, 0)
    assert (by_name["sound"].n, by_name["sound"].missing) == (99, 99)
    first = answers[0].first
    right = [NAMES[first[i, 0]] == species[i] for i in range(2, 200)]
    top = by_name["image"].metrics
    assert top["speciesTop@1"].estimate == pytest.approx(np.mean(right))
    genus = [NAMES[first[i, 0]][0] == species[i][0] for i in range(2, 200)]
    assert top["genusTop@1"].estimate == pytest.approx(np.mean(genus))
    second = [species[i] in (NAMES[first[i, 0]], NAMES[first[i, 1]]) for i in range(2, 200)]
    assert top["speciesTop@2"].estimate == pytest.approx(np.mean(second))


def test_a_modality_that_hurts_is_told_and_one_that_helps_too():
    species, answers = world()
    found = combine(labels(species), units(200), CLASSES, answers, CONFIG)
    gains = {(one.without, one.added): one for one in found.gains}
    assert gains["image", "sound"].verdict == "helps"
    assert gains["image", "sound"].difference.n == 100  # paired on the rows that have both
    assert gains["image", "sound"].warning == ""
    hurts = gains["image", "climate"]
    assert hurts.verdict == "hurts"
    assert hurts.p_holm >= hurts.difference.p
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("Adding climate to image loses ")
    assert "on 200 rows" in found.warnings[0]
    assert found.as_json()["warnings"] == found.warnings
    assert ("sound", "image") in gains
    assert len(found.gains) == 4


def test_a_modality_compared_with_itself_is_undecided():
    species, answers = world()
    again = Answers(("image", "place"), answers[0].rows, answers[0].first)
    found = combine(labels(species), units(200), CLASSES, [answers[0], again], CONFIG)
    (gain,) = found.gains
    assert (gain.verdict, gain.difference.estimate) == ("undecided", 0)


def test_a_shuffled_modality_is_a_baseline_of_its_combination():
    species, answers = world()
    _, image_sound = answers[0], answers[2]
    turned = Answers(
        image_sound.modalities, image_sound.rows, image_sound.first[::-1], "sound shuffled"
    )
    found = combine(labels(species), units(200), CLASSES, [image_sound, turned], CONFIG)
    (gain,) = found.gains
    assert gain.name == "image + sound"
    assert gain.without == "image + sound (sound shuffled)"
    assert gain.verdict == "helps"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["train", "val", "test"]), min_size=1, max_size=20), st.data())
def test_shuffling_stays_within_the_split_and_moves_everything(splits, data):
    ids = [f"i{number}" for number in data.draw(st.permutations(range(len(splits))))]
    place = shuffled(ids, splits, modality="sound", seed=3)
    assert sorted(place.tolist()) == list(range(len(splits)))
    for row, other in enumerate(place):
        assert splits[row] == splits[other]
        assert row != other or splits.count(splits[row]) == 1
    order = data.draw(st.permutations(range(len(ids))))
    again = shuffled(
        [ids[row] for row in order], [splits[row] for row in order], modality="sound", seed=3
    )
    given = {ids[row]: ids[place[row]] for row in range(len(ids))}
    assert {ids[order[i]]: ids[order[again[i]]] for i in range(len(ids))} == given


def test_modalities_and_seeds_are_shuffled_apart():
    ids, splits = [f"{i}" for i in range(50)], ["test"] * 50
    draws = [
        shuffled(ids, splits, modality=modality, seed=seed).tolist()
        for modality, seed in (("sound", 0), ("place", 0), ("sound", 1))
    ]
    assert draws[0] != draws[1] != draws[2] != draws[0]


def test_place_only_answers_with_what_lives_around():
    rng = np.random.default_rng(0)
    # One species on each side of the antimeridian's far side, and a common one everywhere else.
    latitude = rng.uniform(-10, 10, 60)
    longitude = np.where(np.arange(60) < 30, 179.0, -1.0) + rng.uniform(-1, 1, 60)
    longitude = (longitude + 180) % 360 - 180
    species = np.where(np.arange(60) < 30, "aa", "ba").tolist()
    species[59] = "zz"  # no class
    latitude[58] = np.nan
    first = answers_by_place(
        CLASSES,
        species,
        training_latitude=latitude,
        training_longitude=longitude,
        latitude=np.array([0.0, 0.0]),
        longitude=np.array([-179.0, 0.0]),
        neighbours=5,
    )
    assert [NAMES[i] for i in first[:, 0]] == ["aa", "ba"]
    assert first.shape == (2, 4)
    with pytest.raises(DataError, match="no baseline of places"):
        answers_by_place(
            CLASSES,
            ["zz"],
            training_latitude=np.zeros(1),
            training_longitude=np.zeros(1),
            latitude=np.zeros(1),
            longitude=np.zeros(1),
        )
