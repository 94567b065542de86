"""The main job from pictures to report: interrupted, repeated, failing in parts, on odd data."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fakes.class_folders import write_class_folders
from fakes.sweeps import TINY, tiny_sweep
from fakes.ugly_pictures import jpeg
from syntype.configs import (
    EmbedConfig,
    EvaluateConfig,
    KMeansConfig,
    SweepConfig,
    TaskOptions,
    TrainConfig,
    Workplace,
)
from syntype.data.load import load_dataset
from syntype.embeddings.embed import embed
from syntype.embeddings.store import Embeddings
from syntype.encoders.load import load_encoder
from syntype.errors import IncompleteError
from syntype.evaluation.scores import Scores
from syntype.runs import Run
from syntype.sweep import Workshop
from syntype.sweep.workshop import Model

Sweep = Callable[[SweepConfig], Path]


def report_of(folder: Path) -> dict:
    return json.loads((folder / "report" / "report.json").read_text())


def entries_of(folder: Path, role: str) -> list[dict]:
    outcome = json.loads((folder / "outcome.json").read_text())
    return [entry for entry in outcome["models"] if entry["role"] == role]


def scores_of(folder: Path, role: str, split: str = "test") -> Scores:
    entry = entries_of(folder, role)[0]
    return Scores.load(folder.parent.parent / "evaluate" / entry[split])


def times_of(workspace: Path) -> dict[str, int]:
    """When each file was last written; locks say nothing."""
    return {
        str(path.relative_to(workspace)): path.stat().st_mtime_ns
        for path in workspace.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


# Kills, repeats, company


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        import kill_sweep
    finally:
        sys.path.pop(0)
    whole = kill_sweep.Timed(tmp_path / "whole")
    assert len(whole.data) > 20
    draw = random.Random(1)
    for number in range(3):
        workspace = tmp_path / f"killed-{number}"
        for _ in range(2):
            kill_sweep.kill_after(workspace, draw.uniform(0.3, 0.9) * whole.seconds)
        assert kill_sweep.data_of(kill_sweep.finish(workspace)) == whole.data


def test_the_second_time_nothing_is_done(sweep: Sweep, tmp_path: Path) -> None:
    folder = sweep(tiny_sweep())
    before, page = times_of(tmp_path / "runs"), (folder / "report" / "index.html").read_bytes()
    assert sweep(tiny_sweep()) == folder
    assert times_of(tmp_path / "runs") == before
    assert (folder / "report" / "index.html").read_bytes() == page


@pytest.mark.slow
def test_a_report_lost_is_made_from_what_is_there(sweep: Sweep, tmp_path: Path) -> None:
    folder = sweep(tiny_sweep())
    data = folder / "report" / "report.json"
    was, before = data.read_bytes(), times_of(tmp_path / "runs")
    (folder / "record.json").unlink()
    assert sweep(tiny_sweep()) == folder
    assert data.read_bytes() == was
    changed = {name for name, time in times_of(tmp_path / "runs").items() if before[name] != time}
    assert all(name.startswith(f"sweep/{folder.name}/") for name in changed)


@pytest.mark.slow
def test_two_processes_on_one_sweep_share_the_work(tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "syntype.cli", "sweep", "--data", TINY, "--k", "6", "--quiet"),
        *("--train.epochs", "2", "--evaluate.resamples", "100", "--workspace", str(tmp_path)),
    ]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    pages = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        pages.append(out)
    assert pages[0] == pages[1]
    lines = [path.read_text().count("\n") for path in tmp_path.rglob("train/*/record.json")]
    assert len(lines) == 3  # clusters, species, random: each trained once


# What fails, fails alone


def test_a_k_that_fails_is_reported_and_the_others_go_on(sweep: Sweep, tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match=r"^1 part of the sweep failed.*k = 900") as failure:
        sweep(tiny_sweep(k=(6, 900)))
    assert failure.value.exit_code == 8
    (page,) = tmp_path.glob("runs/sweep/*/report/index.html")
    assert "k = 900, seed 0" in page.read_text()
    data = report_of(page.parent.parent)
    assert [what for what, _ in data["failures"]] == ["k = 900, seed 0"]
    assert {model["k"] for model in data["models"] if model["role"] == "clusters"} == {6}
    assert {model["role"] for model in data["models"]} >= {"species", "random"}

    with pytest.raises(IncompleteError):
        sweep(tiny_sweep(k=(6, 900)))
    before = times_of(tmp_path / "runs")
    folder = sweep(tiny_sweep(k=(6,)))
    assert report_of(folder)["failures"] == []
    after = times_of(tmp_path / "runs")
    assert {name for name in after if before.get(name) != after[name]} == {
        name for name in after if name.startswith(f"sweep/{folder.name}/")
    }


@pytest.mark.slow
def test_all_k_failing_still_gives_a_report(sweep: Sweep, tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match="k = 900"):
        sweep(tiny_sweep(k=(900,)))
    (page,) = tmp_path.glob("runs/sweep/*/report/index.html")
    roles = {model["role"] for model in report_of(page.parent.parent)["models"]}
    assert roles == {"floor", "base", "species"}


# Odd data


def test_species_of_one_picture_each_are_counted_not_scored(sweep: Sweep, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "birds", n_species=30, n_images=1)
    folder = sweep(tiny_sweep(tmp_path / "birds", k=(4,)))
    data = report_of(folder)
    for scope in data["scopes"]:
        assert scope["n_scored"] == 0
        assert scope["n_singletons"] == scope["n_images"] > 0
    page = (folder / "report" / "index.html").read_text()
    assert "Nothing can be scored" in page
    assert data["dataset"]["notes"]["singletons"] == {"birds": 30}


def test_near_copies_are_never_cut_nor_found(sweep: Sweep, tmp_path: Path) -> None:
    root, lines = tmp_path / "tracks", ["path,label,track"]
    root.mkdir()
    for track in range(24):
        for frame in range(4):
            # The frames of a track differ in quality of compression alone.
            name = f"{track:02d}-{frame}.jpg"
            (root / name).write_bytes(jpeg(40, 32, seed=track, quality=70 + 5 * frame))
            lines.append(f"{name},Esox {'abc'[track % 3]}us,t{track}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    config = tiny_sweep(root, k=(3,), samples={"unit": "track"})
    folder = sweep(config)
    dataset = load_dataset(config.samples, workspace=tmp_path / "runs")
    splits: dict[str, set[str]] = {}
    unit_of = dict(zip(dataset.ids, dataset.column("unit"), strict=True))
    for unit, split in zip(dataset.column("unit"), dataset.column("split"), strict=True):
        splits.setdefault(unit, set()).add(split)
    assert len(splits) == 24
    assert all(len(found) == 1 for found in splits.values())
    for role in ("floor", "base", "clusters"):
        scores = scores_of(folder, role)
        assert len(scores) > 0
        rows = zip(scores.column("unit"), scores.column("neighbourIds"), strict=True)
        for unit, neighbours in rows:
            assert neighbours
            assert unit not in {unit_of[neighbour] for neighbour in neighbours}


def test_unreadable_pictures_leave_ids_and_vectors_in_step(sweep: Sweep, tmp_path: Path) -> None:
    write_class_folders(tmp_path / "photos", n_species=4, n_images=12, n_broken=3)
    folder = sweep(tiny_sweep(tmp_path / "photos", k=(4,)))
    stores = [Embeddings.open(path.parent) for path in tmp_path.glob("runs/embed/*/manifest.json")]
    assert {len(store) for store in stores} == {48}
    assert not any("broken" in name for store in stores for name in store.ids)
    scored = {
        split: set(scores_of(folder, "clusters", split).column("id"))
        for split in ("validation", "test")
    }
    assert scored["test"]
    assert not scored["test"] & scored["validation"]


# Every way to train


OPTIONS = {
    "clusters alone": {"objective": ("clusters",)},
    "two rounds": {"train": TrainConfig(epochs=2, rounds=2)},
    "within species": {"cluster": KMeansConfig(within="species"), "k": (2, 3)},
    "multi-label": {"cluster": KMeansConfig(top=3), "train": TrainConfig(epochs=2, form="mlcd")},
    "gallery": {"evaluate": EvaluateConfig(resamples=100, protocol="gallery")},
    "half precision": {"embed": EmbedConfig(dtype="float16")},
    "two seeds": {"seeds": (0, 1), "k": (6,)},
}


QUICK = ("multi-label", "two seeds")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OPTIONS]


@pytest.mark.parametrize("name", NAMES)
def test_options_run_from_end_to_end(name: str, common_sweep: Sweep) -> None:
    config = tiny_sweep(**OPTIONS[name])
    data = report_of(common_sweep(config))
    roles = Counter(model["role"] for model in data["models"])
    assert roles["clusters"] == len(config.k)
    assert roles.keys() == {"floor", "base", *config.objective}
    assert data["protocol"] == config.evaluate.protocol
    assert data["failures"] == []
    for model in data["models"]:
        assert model["seeds"] == (list(config.seeds) if model["role"] in config.objective else [0])


def test_two_rounds_differ_from_one(common_sweep: Sweep) -> None:
    found = []
    for rounds in (1, 2):
        train = TrainConfig(epochs=2, rounds=rounds)
        folder = common_sweep(tiny_sweep(k=(6,), objective=("clusters",), train=train))
        cosines = scores_of(folder, "clusters").column("neighbourSimilarities")
        found.append((entries_of(folder, "base"), cosines))
    assert found[0][0] == found[1][0]
    assert found[0][1] != found[1][1]


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 2])
def test_a_tower_is_tuned_and_its_checkpoint_gives_the_vectors_that_were_scored(
    rounds: int, sweep: Sweep, tmp_path: Path
) -> None:
    train = TrainConfig(mode="finetune", epochs=2, batch_size=16, lr=1e-4, rounds=rounds)
    config = tiny_sweep(k=(4,), base="untrained:resnet10t?size=32", train=train)
    folder = sweep(config)
    place = Workplace(workspace=tmp_path / "runs", quiet=True)
    workshop = Workshop.open(config.samples, config.embed, place)
    base = load_encoder(config.base, "cpu")
    for checkpoint in sorted(tmp_path.glob("runs/train/*/encoder")):
        encoder = load_encoder(f"checkpoint:{checkpoint}", "cpu")
        assert encoder.identity != base.identity
        afresh = embed(workshop.dataset, encoder, config.embed, tmp_path / checkpoint.parent.name)
        stored = Embeddings.open(tmp_path / "runs" / "embed" / afresh.key.name)
        np.testing.assert_array_equal(afresh.matrix(), stored.matrix())
        model = Model("afresh", "clusters", "", afresh)
        run: Run = workshop.score_run(model, "test", TaskOptions(evaluate=config.evaluate))
        keys = [entry["test"] for role in config.objective for entry in entries_of(folder, role)]
        assert run.key in keys


# Real data


@pytest.mark.slow
@pytest.mark.real_data
def test_real_fish_and_plankton(real_data: Callable[[str], Path], sweep: Sweep) -> None:
    config = tiny_sweep(
        f"Fish={real_data('fish_f4k')}",
        f"Plankton={real_data('plankton_ndsb')}",
        k=(40, 120),
        samples={"per_species": 20},
        train=TrainConfig(epochs=4),
        evaluate=EvaluateConfig(resamples=300),
    )
    data = report_of(sweep(config))
    assert data["failures"] == []
    assert set(data["dataset"]["groups"]) == {"fish", "plankton"}
    assert data["dataset"]["notes"]["unitsCut"]["units"] == 0
    origins = {note["origin"] for note in data["dataset"]["notes"]["splits"].values()}
    assert origins <= {"given", "completed"}
    test = {scope["name"]: scope for scope in data["scopes"] if scope["split"] == "test"}
    assert test["Overall"]["n_scored"] == test["fish"]["n_scored"] + test["plankton"]["n_scored"]
    values = {
        (score["model"], score["scope"]): score["value"]["estimate"]
        for score in data["scores"]
        if (score["split"], score["metric"], score["rank"], score["average"])
        == ("test", data["metric"], "species", "macro")
    }
    # Hand-made descriptors beat raw pixels on both.
    for scope in ("fish", "plankton"):
        assert values[data["base"], scope] > values[data["floor"], scope] > 0.02


@pytest.mark.slow
@pytest.mark.real_data
def test_real_birds_of_one_picture_each_train_and_are_counted_apart(
    real_data: Callable[[str], Path], sweep: Sweep
) -> None:
    config = tiny_sweep(
        f"Fish={real_data('fish_f4k')}",
        f"Birds={real_data('birds_opennature_cc0')}",
        k=(40,),
        samples={"per_species": 20},
        train=TrainConfig(epochs=2),
    )
    folder = sweep(config)
    data = report_of(folder)
    assert data["failures"] == []
    assert data["dataset"]["notes"]["singletons"]["bird"] == 742
    assert data["dataset"]["groups"]["bird"]["train"]["images"] == 445
    test = {scope["name"]: scope for scope in data["scopes"] if scope["split"] == "test"}
    assert test["bird"]["n_scored"] == 0
    assert test["bird"]["n_singletons"] == test["bird"]["n_images"] == 149
    assert test["Overall"]["n_scored"] == test["fish"]["n_scored"] > 0
    n_apart = test["Overall"]["n_singletons"]
    assert f"{n_apart} have no other picture to be found (singletons)" in (
        folder / "report" / "index.html"
    ).read_text().replace("\xa0", " ")
