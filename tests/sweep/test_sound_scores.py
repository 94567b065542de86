import json
from dataclasses import replace
from math import comb

import numpy as np
import pytest
import torch

from fakes.sounds import write_folder
from syntype.configs import EvaluateConfig, ProbeConfig
from syntype.data.sounds import read_sounds
from syntype.encoders.spec import parse_spec
from syntype.errors import DataError
from syntype.senses import sound_descriptors, sound_small
from syntype.sweep import sounds as scored
from syntype.sweep.sounds import (
    SmallTraining,
    as_text,
    by_folds,
    by_neighbours,
    decoded,
    fixed,
    train_small,
    trained_on,
    vectors_of,
)

EAR = "crop=centre&windows=1&seconds=0.3"
QUICK = EvaluateConfig(ranks=("species",), top_at=(1,), resamples=200)
PROBE = ProbeConfig(strengths=(10.0,), iterations=30)


@pytest.fixture(scope="module")
def set_(tmp_path_factory):
    """Nine sounds of three species in three folds, decoded."""
    folder = tmp_path_factory.mktemp("scored") / "owls"
    write_folder(folder, n_each=6)
    sounds, waves, left_out = decoded(read_sounds(folder))
    assert left_out == []
    folds = [str(row % 3) for row in range(len(sounds))]
    return replace(sounds, fold=folds), waves


def floor(waves):
    spec = parse_spec(f"sound-descriptors?{EAR}")
    return vectors_of(sound_descriptors.load(spec, torch.device("cpu")), waves)


def blind(n):
    """Vectors that know nothing."""
    vectors = np.random.default_rng(0).standard_normal((n, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_tells_tones_apart_answers_all_and_what_does_not_is_told_from_it(set_):
    sounds, waves = set_
    senses = {"floor": fixed(floor(waves)), "blind": fixed(blind(len(sounds)))}
    rows = by_folds(sounds, senses, shots=(1,), config=QUICK, probe=PROBE)
    of = {(row.task, row.sense): row for row in rows}
    tasks = {"nearest neighbour", "linear probe", "SimpleShot, 1 a class"}
    assert {task for task, _ in of} == tasks | {"SimpleShot, 4 a class (all)"}
    for task in tasks:
        assert of[task, "floor"].interval.estimate == 1
        assert of[task, "floor"].interval.n == 18
        assert of[task, "floor"].against is None
        assert of[task, "blind"].against.estimate < -0.2
    assert {row.chance for row in rows} == {1 / 3}


def test_each_fold_is_answered_by_the_others_alone(set_, monkeypatch):
    sounds, waves = set_
    vectors, seen = floor(waves), []

    def learn(mask):
        seen.append(mask.copy())
        return scored.Learnt(vectors)

    by_folds(sounds, {"spy": learn}, shots=(1,), config=QUICK, probe=PROBE)
    folds = np.array(sounds.fold)
    assert len(seen) == 3
    for number, mask in enumerate(seen):
        # Neither the fold that is asked for nor the next, the validation split.
        assert set(folds[mask]) == {str((number + 2) % 3)}


def test_folds_that_cut_a_source_are_refused(set_):
    sounds, waves = set_
    senses = {"floor": fixed(floor(waves))}
    cut = sounds.with_units(["one"] * len(sounds))
    with pytest.raises(DataError, match="several folds"):
        by_folds(cut, senses, config=QUICK)
    for folds in ([""] * len(sounds), ["1"] * len(sounds)):
        with pytest.raises(DataError, match="needs a column `fold`"):
            by_folds(replace(sounds, fold=folds), senses, config=QUICK)


def test_neighbours_are_asked_at_each_rank(set_):
    sounds, waves = set_
    senses = {"floor": floor(waves), "blind": blind(len(sounds))}
    rows = by_neighbours(sounds, senses, ranks=("species", "genus"), recall_at=(1,), config=QUICK)
    of = {(row.metric, row.sense): row for row in rows}
    assert of["species R@1", "floor"].interval.estimate == 1
    assert of["species R@1", "floor"].chance == pytest.approx(5 / 17)
    assert of["genus R@1", "blind"].chance == pytest.approx((6 * 5 + 12 * 11) / 18 / 17)
    assert of["species R@1", "blind"].against.upper < 0


def test_chance_is_that_of_drawing_without_putting_back():
    relevant, others = np.array([1, 3, 8, 0]), np.array([10, 10, 10, 10])
    for k in (1, 2, 5):
        expected = [1 - comb(10 - r, k) / comb(10, k) for r in relevant.tolist()]
        np.testing.assert_allclose(scored._chance(relevant, others, k), expected, atol=1e-12)


def test_a_broken_sound_is_left_out_of_all_and_told(tmp_path):
    write_folder(tmp_path / "owls")
    (tmp_path / "owls" / "audio" / "merula-0.flac").write_bytes(b"")
    sounds, waves, left_out = decoded(read_sounds(tmp_path / "owls"))
    assert (len(sounds), len(waves)) == (5, 5)
    assert left_out == [("owls/audio/merula-0.flac", "the file is empty")]
    for path in (tmp_path / "owls" / "audio").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="None of 6 sounds can be decoded"):
        decoded(read_sounds(tmp_path / "owls"))


def test_training_learns_the_rows_it_is_shown_and_no_others(set_):
    sounds, waves = set_
    labels = sounds.dataset.column("species").tolist()
    training = SmallTraining(epochs=12, batch=6, ear=EAR)
    learn = trained_on(waves, labels, training)
    shown = np.array(sounds.fold) != "0"
    learnt = learn(shown)
    assert np.mean(np.array(learnt.answers)[~shown] == np.array(labels)[~shown]) > 0.6
    np.testing.assert_allclose(np.linalg.norm(learnt.vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(learn(shown).vectors, learnt.vectors)
    # Labels of rows that are not shown change nothing.
    lies = [label if seen else labels[0] for label, seen in zip(labels, shown, strict=True)]
    again = trained_on(waves, lies, training)(shown)
    np.testing.assert_array_equal(again.vectors, learnt.vectors)


def test_trained_weights_can_be_saved_and_used(set_, tmp_path):
    sounds, waves = set_
    labels = sounds.dataset.column("species").tolist()
    module = train_small(waves, labels, SmallTraining(epochs=1, batch=6, ear=EAR))
    sound_small.save(module, tmp_path / "ear.safetensors")
    spec = parse_spec(f"sound-small:{tmp_path}/ear.safetensors?{EAR}")
    sense = sound_small.load(spec, torch.device("cpu"))
    assert vectors_of(sense, waves).shape == (18, 128)


def test_rows_are_a_table_and_plain_json(set_):
    sounds, waves = set_
    senses = {"floor": floor(waves), "blind": blind(len(sounds))}
    rows = by_neighbours(sounds, senses, ranks=("species",), recall_at=(1,), config=QUICK)
    text = as_text(rows)
    assert text.count("\n") == 2 + len(rows)
    assert "| owls | retrieval | species R@1 | floor | 100.0 | no spread |" in text
    json.dumps([row.as_json() for row in rows])
