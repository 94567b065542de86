"""The patches of a binding on a small world: every method, its curves, choices and rechecks."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from binding.world import binder, observations
from syntype.binding.patches import Judge, patch, patched_binder
from syntype.binding.scoring import found_again, named_right, supported_tasks
from syntype.binding.stages import Bindery
from syntype.configs import Workplace
from syntype.configs.bind import BindConfig, PatchConfig
from syntype.errors import DataError
from syntype.progress import Silent
from syntype.senses.load import load_sense

PLACE = "untrained:place-sphere?hidden=16&frequencies=8&dim=12"
VALUES = "untrained:climate-values?dim=16&depth=1"
CONFIG = BindConfig(
    epochs=6, unlocked_epochs=2, batch_size=32, lr=1e-2, binder_lr=3e-3, crop=1.0, flip=False,
    background="observations",
)  # fmt: skip
PATCH = PatchConfig(grid=5)


def bindery(folder, config=CONFIG, texts=True, **options):
    seen = observations(folder / "media", **options)
    senses = {"place": load_sense(PLACE, "cpu"), "climate": load_sense(VALUES, "cpu")}
    place = Workplace(workspace=folder / "runs", device="cpu")
    return Bindery(seen, binder(texts=texts), senses, config, place)


def locked(made):
    return {name: made.locked(name, sense) for name, sense in made.projected.items()}


def test_scores_are_what_they_say():
    source = np.random.default_rng(0)
    one, other = source.normal(size=(2, 12, 5))
    ranks = [1 + sum(row @ query > other[place] @ query for row in other)
             for place, query in enumerate(one)]  # fmt: skip
    assert found_again(one, other) == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert found_again(np.ones((4, 1)), np.ones((4, 1))) == pytest.approx(1 / 2.5)
    labels = source.integers(0, 3, 12)
    names = source.normal(size=(3, 5))
    expected = np.mean(
        [(names @ row).argmax() == kind for row, kind in zip(one, labels, strict=True)]
    )
    assert named_right(one, names, labels) == expected
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one, other)]
    rows = np.array([1, 4, 6])
    tasks = supported_tasks(
        unit[0].astype(np.float32),
        {"sound": (rows, unit[1][rows].astype(np.float32))},
        names,
        labels,
    )
    assert set(tasks) == {"image", "image+sound", "sound>image"}
    silent = supported_tasks(unit[0], {"sound": (rows, unit[1][rows])}, None, labels)
    assert set(silent) == {"sound>image"}


@pytest.mark.parametrize("method", ["parallel", "sequential", "joint"])
def test_every_method_gives_curves_choices_and_rechecks(tmp_path, method):
    made = bindery(tmp_path, missing=True)
    found = patch(made, locked(made), replace(PATCH, method=method))
    betas = {"beta place", "beta climate"}
    alphas = {
        "parallel": {"alpha place", "alpha climate", "alpha together"},
        "sequential": {"alpha place", "alpha climate"},
        "joint": {"alpha together"},
    }
    assert set(found.curves) == set(found.choices) == betas | alphas[method]
    for name in alphas[method]:
        curve = found.curves[name]
        assert curve.shares[0] == 0
        assert {"image", "image+place", "place>image", "climate>image"} <= set(curve.scores)
        choice = found.choices[name]
        assert all(lost <= PATCH.budget + 1e-9 for lost in choice.lost.values())
    last = found.curves["alpha together" if method == "joint" else "alpha climate"]
    assert {one.task for one in found.rechecked} == set(last.scores)
    assert set(found.senses) == {"place", "climate"}
    if method == "joint":
        assert set(found.unlocked) == {"all"}
    json.dumps(found.as_json(), allow_nan=False)
    tower = patched_binder(made.binder, found)
    for name, value in tower.module.state_dict().items():
        assert torch.equal(value, found.tower[name])


def test_trainings_are_read_the_second_time(tmp_path):
    made = bindery(tmp_path)
    first = patch(made, locked(made), PATCH)
    said = []
    again = bindery(tmp_path)
    again.progress = Silent()
    again.progress.say = said.append
    second = patch(again, locked(again), replace(PATCH, budget=0.5))
    assert not any(text.startswith("bind-") for text in said)
    for name, bound in first.unlocked.items():
        for key, value in bound.tower.items():
            assert torch.equal(value, second.unlocked[name].tower[key])


def test_a_binder_without_names_is_patched_by_the_mean(tmp_path):
    made = bindery(tmp_path, texts=False)
    found = patch(made, locked(made), PATCH)
    assert set(found.curves["alpha place"].scores) == {"place>image", "climate>image"}
    assert set(found.curves["beta place"].scores) == {"place>image"}


def test_scales_are_fitted_to_the_patched_weights(tmp_path):
    made = bindery(tmp_path)
    bound = locked(made)
    found = patch(made, bound, PATCH)
    for name, sense in found.senses.items():
        assert sense.logit_scale == pytest.approx(float(found.temperatures[name][0, 0].exp()), 1e-4)
        assert sense.logit_scale <= 100
        learned = float(bound[name].temperatures[name].exp())
        assert sense.logit_scale != pytest.approx(learned, 1e-3)


def test_the_judge_sees_the_selection_split_alone(tmp_path):
    made = bindery(tmp_path)
    selection = made.selection()
    assert set(selection.observations.column("split")) == {"val"}
    judge = Judge(made, selection, made.projected)
    images = judge.pictures(None)
    assert len(images) == len(selection.observations)
    assert selection.names.shape == (6, made.binder.dim)
    moved = {name: value + 0.1 for name, value in made.binder.module.state_dict().items()}
    assert not np.allclose(judge.pictures(moved), images)


def test_what_cannot_be_used_is_told_and_left_out(tmp_path):
    (tmp_path / "media").mkdir()
    made = bindery(tmp_path)
    path = tmp_path / "media" / "image-7.png"
    path.write_bytes(b"no picture")
    again = Bindery(made.observations, binder(2), made.senses, CONFIG, made.place)
    assert again.left_out["image"][0]["id"] == "set/0007"
    assert "set/0007" not in again.usable.ids


def with_units(seen, name):
    """The observations with their units named anew, by row number and split."""
    units = [name(row, split) for row, split in enumerate(seen.column("split"))]
    place = seen.table.column_names.index("unit")
    return replace(seen, table=seen.table.set_column(place, "unit", pa.array(units)))


def test_what_shares_its_unit_with_the_report_is_not_chosen_on(tmp_path):
    made = bindery(tmp_path)
    # Every second row of val belongs to a unit of test.
    cut = with_units(
        made.observations,
        lambda row, split: (
            "set/both" if split == "test" or (split == "val" and row % 2) else f"{row}"
        ),
    )
    again = Bindery(cut, binder(), made.senses, CONFIG, made.place)
    chosen = again.selection().observations
    assert 0 < len(chosen) < len(made.selection().observations)
    assert "both" not in chosen.column("unit")
    assert {one["reason"] for one in again.left_out["selection"]} == {
        "its unit is in the test split too"
    }
    whole = with_units(made.observations, lambda row, split: "set/one")
    with pytest.raises(DataError, match="Split by unit anew"):
        Bindery(whole, binder(), made.senses, CONFIG, made.place)
    with pytest.raises(DataError, match="No observation of the val split"):
        Bindery(made.observations.where(split="train"), binder(), made.senses, CONFIG, made.place)
