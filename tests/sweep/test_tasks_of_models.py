"""Every task over a workshop's models; what names the scores; comparisons of finished runs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pyarrow.parquet as pq
import pytest

from fakes.models import write_open_clip
from fakes.sweeps import tiny_sweep
from fakes.versus import fake_entries
from syntype.configs import (
    EvaluateConfig,
    FewShotConfig,
    KnnConfig,
    ProbeConfig,
    Task,
    TaskOptions,
    Workplace,
)
from syntype.errors import DataError, DataNotFoundError, EncoderError, UsageError
from syntype.evaluation.metrics import macro_mean
from syntype.sweep import Workshop, run_sweep
from syntype.sweep.bench import determining
from syntype.sweep.compared import compare_runs, entries_of

TASKS = [task for task in get_args(Task) if task != "zero-shot"]
OPTIONS = TaskOptions(
    evaluate=EvaluateConfig(resamples=100),
    few_shot=FewShotConfig(shots=(1, 2), episodes=2),
    probe=ProbeConfig(strengths=(1.0, 10.0), iterations=200),
)


@pytest.mark.parametrize("task", TASKS)
def test_every_vision_only_task_scores_every_test_picture_once(
    workshop: Workshop, task: Task
) -> None:
    model = workshop.model("descriptors", "base")
    scores = workshop.scores(model, "test", OPTIONS, task)
    assert scores.column("id") == workshop.dataset.where(split="test").ids
    assert scores.summary["task"] == task
    run = workshop.score_run(model, "test", OPTIONS, task)
    assert run.record["task"] == task
    assert run.record["data"].startswith("synthetic")
    before = (run.folder / "scores.parquet").stat().st_mtime_ns
    workshop.scores(model, "test", OPTIONS, task)
    assert (run.folder / "scores.parquet").stat().st_mtime_ns == before, "made once"


def test_few_shot_draws_are_kept_beside_their_scores(workshop: Workshop) -> None:
    model = workshop.model("descriptors", "base")
    scores = workshop.scores(model, "test", OPTIONS, "few-shot")
    run = workshop.score_run(model, "test", OPTIONS, "few-shot")
    drawn = pq.read_table(run.path("episodes.parquet"))
    train = set(workshop.dataset.where(split="train").ids)
    assert set(drawn["id"].to_pylist()) <= train
    assert scores.summary["episodesKey"]


def test_published_draws_are_replayed_and_named_by_what_they_hold(
    workshop: Workshop, tmp_path: Path
) -> None:
    model = workshop.model("descriptors", "base")
    workshop.scores(model, "test", OPTIONS, "few-shot")
    drawn = workshop.score_run(model, "test", OPTIONS, "few-shot").path("episodes.parquet")
    path = tmp_path / "draws.parquet"
    path.write_bytes(drawn.read_bytes())
    again = replace(OPTIONS, few_shot=replace(OPTIONS.few_shot, seed=9, replay=str(path)))
    first = workshop.scores(model, "test", OPTIONS, "few-shot")
    assert workshop.scores(model, "test", again, "few-shot").table.equals(first.table)
    found = determining("few-shot", again)["few_shot"]["replay"]
    assert found == first.summary["episodesKey"]
    more = replace(again, few_shot=replace(again.few_shot, shots=(7,)))
    with pytest.raises(DataError, match=r"--few-shot\.shots"):
        workshop.scores(model, "test", more, "few-shot")


def test_clusters_of_the_test_pictures_are_those_of_k_means(workshop: Workshop) -> None:
    model = workshop.model("descriptors", "base")
    scores = workshop.scores(model, "test", OPTIONS, "clustering")
    agreement = scores.summary["agreement"]["species"]
    assert agreement["k"] == len(set(scores.column("species")))
    assert 0 < agreement["ami"] <= 1


def test_only_options_of_the_task_name_its_scores() -> None:
    for task in get_args(Task):
        same = replace(OPTIONS, evaluate=replace(OPTIONS.evaluate, resamples=500))
        assert determining(task, same) == determining(task, OPTIONS)
    other = replace(OPTIONS, knn=KnnConfig(neighbours=9))
    assert determining("knn", other) != determining("knn", OPTIONS)
    assert determining("few-shot", other) == determining("few-shot", OPTIONS)


def test_all_pictures_are_scored_by_tasks_that_learn_from_none(workshop: Workshop) -> None:
    model = workshop.model("descriptors", "base")
    scores = workshop.scores(model, "all", OPTIONS, "knn")
    assert scores.column("id") == workshop.dataset.ids
    gallery = replace(OPTIONS, evaluate=replace(OPTIONS.evaluate, protocol="gallery"))
    for task, options in (("linear-probe", OPTIONS), ("few-shot", OPTIONS), ("knn", gallery)):
        with pytest.raises(UsageError, match="cannot be scored on all: use --on test"):
            workshop.scores(model, "all", options, task)


def test_an_encoder_without_text_is_told_which_task_to_take(workshop: Workshop) -> None:
    model = workshop.model("pixels", "floor")
    with pytest.raises(EncoderError, match=r"no text tower.*--task retrieval"):
        workshop.scores(model, "test", OPTIONS, "zero-shot")


def test_an_encoder_with_text_names_species(workshop: Workshop, tmp_path: Path) -> None:
    write_open_clip(tmp_path / "clip")
    spec = f"open_clip:local-dir:{tmp_path / 'clip'}"
    model = workshop.model(spec, "base")
    scores = workshop.scores(model, "test", OPTIONS, "zero-shot")
    assert scores.summary["nClasses"] == len(workshop.dataset.counts("species"))
    assert set(scores.column("speciesPrediction")) <= set(workshop.dataset.column("species"))
    texts = list((workshop.place.workspace / "texts").glob("*/*.npz"))
    assert texts, "vectors of texts are kept"


def test_models_of_finished_evaluations_are_compared(workshop: Workshop, tmp_path: Path) -> None:
    folders = []
    for spec in ("pixels", "descriptors"):
        model = workshop.model(spec, "baseline")
        for task in ("retrieval", "clustering", "few-shot"):
            workshop.scores(model, "test", OPTIONS, task)
            folders.append(workshop.score_run(model, "test", OPTIONS, task).folder)
    versus, page = compare_runs(folders, OPTIONS.evaluate, tmp_path)
    assert {column.task for column in versus.columns} == {"retrieval", "clustering", "few-shot"}
    assert {one.model for one in versus.standings} == {"pixels", "descriptors"}
    assert page.is_file()
    numbers = json.loads((page.parent / "comparison.json").read_text())
    found = {
        (cell["column"], cell["model"]): cell["value"]["estimate"]
        for cell in numbers["measured"]["cells"]
    }
    scores = workshop.scores(workshop.model("pixels", "baseline"), "test", OPTIONS)
    wanted = macro_mean(scores.values("speciesHit@1"), scores.column("species"))
    column = next(one.key for one in versus.columns if one.metric == "speciesHit@1")
    assert found[column, "pixels"] == pytest.approx(wanted)


@pytest.mark.parametrize("split", ["test", "all", "val"])
def test_published_numbers_stand_beside_a_test_split_or_all_pictures(
    tmp_path: Path, split: str
) -> None:
    bioclip = "open_clip:hf-hub:imageomics/bioclip"
    folders = []
    for entry in fake_entries({bioclip: 0.6, "pixels": 0.3}, (("rare-species", "zero-shot"),)):
        folder = tmp_path / entry.model.rpartition("/")[2]
        entry.scores.save(folder)
        record = {"model": entry.model, "data": "rare-species", "split": split, "task": entry.task}
        (folder / "record.json").write_text(json.dumps(record))
        folders.append(folder)
    versus, page = compare_runs(folders, OPTIONS.evaluate, tmp_path)
    ending = "" if split == "test" else f", {split}"
    assert versus.columns[0].set == f"rare-species{ending}"
    shown = json.loads((page.parent / "comparison.json").read_text())["published"]
    assert [one["benchmark"] for one in shown] == ["Rare Species"] * (0 if split == "val" else 4)


@pytest.mark.slow
def test_models_of_a_sweep_are_entries_by_name_and_k(tmp_path: Path) -> None:
    page = run_sweep(tiny_sweep(), Workplace(workspace=tmp_path, quiet=True))
    entries = entries_of(page.parent.parent)
    names = {one.model for one in entries}
    assert {"pixels", "descriptors", "clusters, k = 6", "clusters, k = 12"} <= names
    assert {one.task for one in entries} == {"retrieval"}


def test_folders_without_a_finished_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="no finished evaluation"):
        compare_runs([tmp_path], EvaluateConfig(), tmp_path)
    (tmp_path / "record.json").write_text('{"k": 5}')
    with pytest.raises(DataNotFoundError, match="another verb"):
        compare_runs([tmp_path], EvaluateConfig(), tmp_path)
    with pytest.raises(UsageError, match="nothing to compare"):
        compare_runs([], EvaluateConfig(), tmp_path)
