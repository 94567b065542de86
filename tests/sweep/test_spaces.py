"""The report of a binding, over a small world of six senses."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from binding.world import table
from syntype.binding.experts import Experts, entropy
from syntype.configs import EvaluateConfig, Workplace
from syntype.configs.bind import BindConfig, PatchConfig
from syntype.data.observations import read_observations
from syntype.errors import DataNotFoundError
from syntype.evaluation.combined import combine
from syntype.senses.rasters import read_raster
from syntype.sweep.binding import Made, bind_space, spaces_of
from syntype.sweep.spaces import report_spaces
from syntype.sweep.spaces_exam import SPLIT, Exam, Seen, open_space, see
from syntype.sweep.spaces_parts import cautions, command, short_names, shortened
from syntype.sweep.spaces_scores import answers_of, shown, sureness, tasks_of

WORLD = (
    "synthetic-six:species=6,observations=100,degrees=3,size=48,seconds=0.5,rate=8000,"
    "no_satellite=1"
)
SENSES = {
    "place": "untrained:place-sphere?hidden=16&frequencies=8&dim=64",
    "climate": "untrained:climate-values?dim=16&depth=1",
    "sound": "untrained:sound-small",
}
OTHER = "place=untrained:place-harmonics?degrees=4&dim=16&hidden=16"
BIND = BindConfig(
    warm_epochs=1, epochs=1, unlocked_epochs=1, batch_size=64, lr=1e-2, crop=1.0, flip=False,
    background="observations",
)  # fmt: skip
EVALUATE = EvaluateConfig(resamples=100)


def place_of(folder):
    return Workplace(workspace=folder, device="cpu", quiet=True)


def bound(folder, data=WORLD, senses=SENSES, config=BIND, compare=(OTHER,)):
    return bind_space(
        data, "untrained:test_resnet?size=32", senses, config, place_of(folder),
        patching=PatchConfig(grid=3), compare=compare,
    )  # fmt: skip


@pytest.fixture(scope="module")
def binding(tmp_path_factory):
    return bound(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(binding):
    return report_spaces(binding, place_of(binding.parents[1]), EVALUATE)


@pytest.fixture(scope="module")
def exam(binding):
    return Exam.of(read_observations(WORLD, workspace=binding.parents[1]), EVALUATE)


def seen_by(binding, exam, role):
    made = next(one for one in spaces_of(binding) if one.role == role)
    return see(exam, made, open_space(binding, made, binding.parents[1], "cpu", progress()))


def progress():
    from syntype.progress import SILENT

    return SILENT


def test_the_page_shows_every_part(page):
    text = page.read_text()
    for part in ("matrix", "patching", "steps", "zero-shot", "examples", "maps", "audit"):
        assert f'id="{part}"' in text, part
    numbers = json.loads((page.parent / "report.json").read_text())
    assert numbers["split"] == SPLIT
    assert numbers["modalities"] == ["image", "text", "place", "sound", "climate"]
    assert {one["level"] for one in numbers["matrices"]} == {
        "instance", "species", "genus", "family",
    }  # fmt: skip
    names = {row["name"] for row in numbers["combinations"]}
    assert {
        "image", "sound", "image + sound", "all senses", "all but image", "whatever is there",
        "image + place (learned weights)", "all senses (product of experts)",
        "image + sound (sound shuffled)", "place (no encoder, nearest training points)",
        "image (nothing bound, as BioCLIP)", "image + climate (locked only, as ImageBind)",
        "place (locked, place by untrained:place-harmonics)",
    } <= names  # fmt: skip
    assert any("few queries" in one for one in numbers["warnings"])
    assert any("helps" in one or "no effect" in one for one in numbers["step_notes"][1:])
    assert numbers["steps"] == ["before", "locked", "unlocked", "patched"]
    chosen = [one["chosen"] for one in numbers["curves"] if one["name"].startswith("alpha")]
    assert any("Every alpha is 0" in one for one in numbers["step_notes"]) == (max(chosen) == 0)
    assert numbers["binder"].endswith("trained on pictures and names for 1 pass")


def test_maps_are_rasters_beside_the_page_and_know_the_truth(page):
    numbers = json.loads((page.parent / "report.json").read_text())
    assert numbers["maps"]
    for one in numbers["maps"]:
        raster = read_raster(page.parent / one["file"])
        assert raster.grid.shape == (60, 120)
        assert {"AUC", "AUC of the nearest training record"} <= one["metrics"].keys()
    scores = json.loads((page.parent / "scores.json").read_text())
    assert {row["by"] for row in scores["maps"]} == {"name", "picture", "nearest training record"}
    nearest = [row["auc"] for row in scores["maps"] if row["by"].startswith("nearest")]
    assert min(nearest) > 0.8


def test_saved_hits_are_the_scores_of_the_report_split_alone(page, exam):
    hits = pq.read_table(page.parent / "hits.parquet")
    assert hits.column("id").to_pylist() == exam.observations.ids
    assert set(exam.observations.column("split")) == {SPLIT}
    scores = json.loads((page.parent / "scores.json").read_text())["combinations"]
    for one in scores["combinations"]:
        values = hits.column(one["name"]).to_numpy()
        assert np.nanmean(values) == pytest.approx(one["metrics"]["speciesTop@1"]["estimate"])
        assert (~np.isnan(values)).sum() == one["n"]


def test_a_finished_report_is_kept_and_other_options_replace_it(tmp_path):
    data = str(table(tmp_path / "media", per_species=10))
    config = replace(BIND, unlocked_epochs=0, warm_epochs=0)
    folder = bound(tmp_path / "runs", data, {"place": SENSES["place"]}, config, compare=())
    place = place_of(tmp_path / "runs")
    page = report_spaces(folder, place, EVALUATE)
    stamps = {path: path.stat().st_mtime_ns for path in page.parent.rglob("*.json")}
    first = json.loads((page.parent / "report.json").read_text())
    assert report_spaces(folder, place, EVALUATE) == page
    assert stamps
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert report_spaces(folder, place, replace(EVALUATE, seed=1)) == page
    second = json.loads((page.parent / "report.json").read_text())
    assert first["settings"]["evaluate"]["seed"] != second["settings"]["evaluate"]["seed"]
    report_spaces(folder, place, EVALUATE)
    assert json.loads((page.parent / "report.json").read_text()) == first


def test_combinations_are_the_published_rule_and_answer_only_who_has_them(binding, exam):
    last = seen_by(binding, exam, "patched")
    answers = {one.name: one for one in answers_of(exam, last, [last], {})}
    combined = combine(exam.labels, exam.units, exam.classes, list(answers.values()), EVALUATE)
    assert combined.n_classes == 6
    both = answers["image + sound"]
    has = exam.observations.has("sound")
    assert set(both.rows.tolist()) == set(np.flatnonzero(has).tolist())
    for row, first in zip(both.rows[:5], both.first[:5], strict=True):
        image = last.vectors["image"][np.flatnonzero(last.rows["image"] == row)[0]]
        sound = last.vectors["sound"][np.flatnonzero(last.rows["sound"] == row)[0]]
        assert first[0] == (last.names @ (image + sound)).argmax()
    assert "image + sound (learned weights)" not in answers


def test_answers_fall_into_two_halves_by_their_entropy(binding, exam):
    last = seen_by(binding, exam, "patched")
    fusion = json.loads((binding / "fusion.json").read_text())
    found = sureness(exam, last, fusion)
    known = [~np.isnan(one) for one in (found.surer, found.less_sure)]
    assert not (known[0] & known[1]).any()
    assert (known[0] | known[1]).all()
    assert abs(known[0].sum() - known[1].sum()) <= 1
    experts = Experts(fusion["experts"]["scales"], fusion["experts"]["dependence"])
    spread = last.spread(last.senses, len(exam))
    unsure = entropy(experts.log_probabilities(spread, last.names))
    assert unsure[known[0]].max() <= unsure[known[1]].min()
    assert sureness(exam, last, {}) is None


def test_tasks_pair_each_step_with_the_same_rows(binding, exam):
    roles = ("image only", "locked", "unlocked", "patched")
    made = spaces_of(binding)
    seen = [seen_by(binding, exam, role) for role in roles]
    assert len(made) > len(roles)
    tasks = {task.name: task for task in tasks_of(exam, seen)}
    assert "image + sound names species" in tasks
    for task in tasks.values():
        known = [~np.isnan(values) for values in task.values.values()]
        assert all((one == known[0]).all() for one in known), task.name
    chance = tasks["sound names species"].values["before"]
    assert np.nanmax(chance) == np.nanmin(chance) == pytest.approx(1 / 6)
    found = tasks["sound finds its picture"].values
    n = len(exam)
    assert np.nanmin(found["before"]) >= (1 / np.arange(1, n + 1)).sum() / n - 1e-9


def test_without_names_without_patches_and_without_a_truth(tmp_path):
    data = str(table(tmp_path / "media", per_species=10, missing=True))
    senses = {"place": SENSES["place"]}
    config = replace(BIND, unlocked_epochs=0, warm_epochs=0)
    folder = bound(tmp_path / "runs", data, senses, config, compare=())
    page = report_spaces(folder, place_of(tmp_path / "runs"), EVALUATE)
    numbers = json.loads((page.parent / "report.json").read_text())
    assert numbers["modalities"] == ["image", "place"]
    assert not numbers["combinations"]
    assert any("reads no names" in one for one in numbers["warnings"])
    assert any("no true range is known" in one for one in numbers["left_out"])
    assert "Nothing was unlocked" in numbers["step_notes"][-1]
    assert [one["name"] for one in numbers["maps"]] == [
        name for name in (one["name"] for one in numbers["maps"]) if "picture" in name
    ]


def test_what_is_no_binding_is_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="holds no binding"):
        report_spaces(tmp_path, place_of(tmp_path))


def test_the_command_names_what_differs_from_the_defaults():
    from syntype.provenance import plain

    asked = {
        "data": "isatnat:/data/isatnat",
        "encoder": "untrained:resnet10t?size=64",
        "senses": {"place": "untrained:place-sphere"},
        "config": plain(replace(BIND, loss=("place=siglip",))),
        "patching": plain(PatchConfig()),
        "compare": [],
        "samples": None,
    }
    said = command(asked)
    assert said.startswith(
        "syntype bind --data isatnat:/data/isatnat --encoder 'untrained:resnet10t?size=64' "
        "--place untrained:place-sphere --bind.loss place=siglip"
    )
    assert "--bind.no-flip" in said
    assert "--patch" not in said


def test_long_combinations_have_short_names():
    senses = ["image", "place", "satellite", "sound", "climate"]
    words = short_names(senses)
    assert shortened("image + place + satellite + sound + climate (x)", words) == "all senses (x)"
    assert shortened("image + place + sound + climate", words) == "all but satellite"
    assert (
        shortened("place (locked, place by a:b?c=1&d=2)", words) == "place (locked, place by a:b)"
    )
    assert not short_names(["image", "place"])
    every = shown(senses)
    assert len(every) == len(set(every)) == 5 + 4 + 5 + 1


def test_many_warnings_are_one_sentence(exam):
    told = [
        "Adding satellite to image hurts: -0.098 (-0.146 to -0.057) on the selection split.",
        "Adding satellite to image and place hurts: -0.05 (-0.1 to -0.01) on the selection split.",
        "Adding climate to image hurts: -0.05 (-0.1 to -0.01) on the selection split.",
        "Adding place to image does not seem to help: -0.01 (-0.1 to 0.1) on the selection split.",
    ]
    said = cautions(exam, {"warnings": told}, {}, names=True)[-1]
    assert said.startswith(told[0])
    assert "3 combinations there (satellite 2, climate 1)" in said
    lost = {"task": "image", "before": 0.5, "after": 0.25, "within": False}
    said = cautions(exam, {}, {"rechecked": [lost]}, names=True)[-1]
    assert "image is at 0.250 on the selection split, from 0.500" in said


def test_another_way_of_fusing_stands_against_the_published_one(page):
    numbers = json.loads((page.parent / "report.json").read_text())
    (gain,) = (
        row
        for row in numbers["gains"]
        if (row["added"], row["without"]) == ("learned weights", "image + sound")
    )
    hits = pq.read_table(page.parent / "hits.parquet")
    both = [hits.column("image + sound" + how).to_numpy() for how in (" (learned weights)", "")]
    assert gain["change"]["estimate"] == pytest.approx(np.nanmean(both[0] - both[1]))


def test_rows_that_have_some_senses():
    rows = {"image": np.array([0, 1, 3]), "sound": np.array([1, 2, 3])}
    vectors = {name: np.eye(3, dtype=np.float32) for name in rows}
    seen = Seen(Made("patched", "patched", ""), rows, vectors, None)
    common, parts = seen.together(("image", "sound"))
    assert common.tolist() == [1, 3]
    assert parts["sound"].argmax(axis=1).tolist() == [0, 2]
    spread = seen.spread(("image",), 4)["image"]
    assert np.isnan(spread[2]).all()
    assert spread[3].argmax() == 2


def test_the_headline_says_when_the_best_answers_other_rows_than_the_picture():
    from syntype.report.data import Value
    from syntype.report.space_data import CombinationRow, SpaceReport
    from syntype.report.space_words import headline

    rows = [
        CombinationRow(name="image", score=Value(0.5), n=30),
        CombinationRow(name="image + sound", score=Value(0.75), n=20),
    ]
    report = SpaceReport(
        title="", dataset="", binder="", modalities=(), n=30, n_units=30, n_species=2, split=SPLIT,
        combinations=rows,
    )  # fmt: skip
    said = headline(report)
    assert "on the 20 rows that have them, where the image alone has 50.0 % on 30." in said
    same = [replace(row, n=30) for row in rows]
    assert headline(replace(report, combinations=same)).endswith("the image alone has 50.0 %.")
