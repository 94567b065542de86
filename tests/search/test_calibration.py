"""Calibrated similarity: true to a known truth, monotone, and honest where nothing can be known."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.collection import synthetic_index
from fakes.memory_index import MemoryIndex
from syntype.evaluation.calibration import calibration as gaps
from syntype.search import calibration as module
from syntype.search.calibration import Calibration, calibrate
from syntype.search.index import Hit
from syntype.search.records import conform_records


class Truth(MemoryIndex):
    """Records whose neighbours are of the same species with a known chance at each cosine."""

    def __init__(self, chance, n: int, seed: int = 0) -> None:
        super().__init__(2)
        rng = np.random.default_rng(seed)
        self.cosines = np.sort(rng.uniform(0, 1, (n, 20)), axis=1)[:, ::-1].round(6)
        self.same = rng.random((n, 20)) < chance(self.cosines)
        rows = [{"id": f"q{i:05d}", "species": "same"} for i in range(n)]
        rows += [{"id": "same", "species": "same"}, {"id": "other", "species": "other"}]
        self.upsert(conform_records(pa.Table.from_pylist(rows)), np.tile([[1, 0]], (n + 2, 1)))

    def vectors(self, ids):
        return np.array([[int(id_[1:]) if id_[0] == "q" else -1, 0] for id_ in ids], np.float32)

    def search(self, queries, n, where=None):
        return [
            [Hit("same" if same else "other", float(cosine))
             for cosine, same in zip(self.cosines[int(q)], self.same[int(q)], strict=True)]
            for q in queries[:, 0]
        ]  # fmt: skip

    def records(self, ids):
        return [{**row, "id": f"{row['id']}!"} if id_[0] != "q" else row
                for id_, row in zip(ids, super().records(ids), strict=True)]  # fmt: skip


def logistic(cosine):
    return 1 / (1 + np.exp(-(12 * cosine - 7)))


def steps(cosine):
    return np.where(cosine < 0.3, 0.02, np.where(cosine < 0.8, 0.4, 0.95))


@pytest.fixture(scope="module")
def fitted():
    made = {}
    for chance in (logistic, steps):
        made[chance] = calibrate(Truth(chance, 600))
    return made


@pytest.mark.parametrize(("chance", "form"), [(logistic, "logistic"), (steps, "isotonic")])
def test_it_finds_a_known_truth(fitted, chance, form) -> None:
    found = fitted[chance]
    assert found.form == form
    cosines = np.random.default_rng(5).uniform(0, 1, 20_000)
    closeness = found.closeness(cosines)
    right = np.random.default_rng(6).random(20_000) < chance(cosines)
    assert gaps(closeness, right).ece < 0.02
    assert np.abs(closeness - chance(cosines)).mean() < 0.03
    assert found.error < 0.03
    assert found.n_questions == 602
    assert found.share_same == pytest.approx(chance(cosines).mean(), abs=0.02)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.sampled_from([logistic, steps]))
@settings(max_examples=40, deadline=None)
def test_it_never_falls_and_is_a_probability(fitted, cosines, chance) -> None:
    closeness = fitted[chance].closeness(np.sort(np.array(cosines)))
    assert (np.diff(closeness) >= 0).all()
    assert ((closeness > 0) & (closeness < 1)).all()


def test_a_collection_calibrates_itself_the_same_way_each_time() -> None:
    index = synthetic_index(220, 12)
    found = calibrate(index, n=120)
    assert found == calibrate(index, n=120)
    assert found.form != "none"
    assert found.n_records == 220
    assert found.n_questions == 120
    low, high = found.closeness(np.array([0.0, 0.95]))
    assert low < 0.3 < 0.9 < high
    assert calibrate(index, seed=1, n=120) != found
    assert not found.nothing_close(0.95)
    assert replace(found, level=0.5).nothing_close(0.0)


def test_most_of_the_draw_stays_when_records_come() -> None:
    few, more = synthetic_index(200, 4), synthetic_index(210, 4)
    one, other = (set(module._drawn(index, 0, 60)[0]) for index in (few, more))
    assert len(one & other) >= 50


def specimens(vectors, occurrences, species) -> MemoryIndex:
    index = MemoryIndex(len(vectors[0]))
    rows = [
        {"id": f"r{i:03d}", "occurrenceID": occurrence, "species": of}
        for i, (occurrence, of) in enumerate(zip(occurrences, species, strict=True))
    ]
    index.upsert(conform_records(pa.Table.from_pylist(rows)), np.array(vectors, np.float32))
    return index


def test_other_pictures_of_a_specimen_do_not_flatter() -> None:
    """Copies of a specimen lie on one point, specimens of a species anywhere: nothing is known."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((24, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    vectors = np.repeat(points, 50, axis=0)  # more than are looked through at first
    occurrences = [f"o{i}" for i in range(24) for _ in range(50)]
    species = [f"Species {i % 4}" for i in range(24) for _ in range(50)]
    found = calibrate(specimens(vectors, occurrences, species), n=40)
    assert found.share_same < 0.45
    assert found.closeness(np.array([1.0]))[0] < 0.6
    flattered = calibrate(specimens(vectors, [""] * 1200, species), n=40)
    assert flattered.share_same == 1.0
    assert flattered.form == "none"  # all pairs are of one kind


def test_a_species_of_one_specimen_asks_too() -> None:
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((80, 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    species = [f"Alone {i}" if i < 20 else f"Species {i % 3}" for i in range(80)]
    found = calibrate(specimens(vectors, [f"o{i}" for i in range(80)], species))
    assert found.alone == 0.25
    assert found.n_questions == 80
    assert found.n_pairs == 80 * 20


@pytest.mark.parametrize("species", ["", "Parus major"])
def test_without_names_or_with_one_alone_only_the_farthest_is_told(species: str) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((120, 5)) + 3 * np.eye(5)[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = specimens(vectors, [f"o{i}" for i in range(120)], [species] * 120)
    found = calibrate(index)
    assert found.form == "none"
    assert found.closeness(np.array([0.9])) is None
    halved = index.vectors(index.browse(200))
    cosines = halved @ halved.T - 2 * np.eye(120)
    assert found.far == pytest.approx(np.quantile(cosines.max(axis=1), 0.01), abs=1e-4)
    assert found.nothing_close(found.far - 1e-3)
    assert not found.nothing_close(found.far + 1e-3)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_of_next_to_nothing_nothing_is_known(n: int) -> None:
    found = calibrate(synthetic_index(n, 4))
    assert found.form == "none"
    assert found.n_questions == n
    assert found.nothing_close(0.5) == (found.far is not None and found.far > 0.5)
    assert Calibration.from_notes(json.loads(json.dumps(found.to_notes()))) == found


def test_notes_bring_it_back(fitted) -> None:
    for found in fitted.values():
        again = Calibration.from_notes(json.loads(json.dumps(found.to_notes())))
        assert again == found
    assert Calibration.from_notes({}) is None
    assert Calibration.from_notes({"calibration": "none"}) is None
    bent = {**found.to_notes()["calibration"], "cosines": [0.1]}
    assert Calibration.from_notes({"calibration": bent}) is None
