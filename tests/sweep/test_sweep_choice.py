"""Which k is chosen, by which split; and reports that are written again."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fakes.class_folders import write_class_folders
from fakes.sweeps import tiny_sweep
from syntype.configs import KMeansConfig, SweepConfig, TaskOptions, Workplace
from syntype.errors import UsageError
from syntype.evaluation.scores import Scores
from syntype.sweep import Workshop, rewrite_report, run_sweep
from syntype.sweep.sweep import Entry, _Sweep


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syntype.report.page.draw_all", lambda data: [])


def with_hits(scores: Scores, share: float) -> Scores:
    """The same pictures, the first `share` of them found."""
    name = "speciesHit@1"
    hits = np.where(np.arange(len(scores)) < share * len(scores), 1, 0).astype(np.float32)
    hits[np.isnan(scores.values(name))] = np.nan
    place = scores.table.schema.get_field_index(name)
    column = pa.array(hits, pa.float32(), from_pandas=False)
    table = scores.table.set_column(place, scores.table.schema.field(place), column)
    return Scores(table, scores.summary)


def test_k_is_chosen_on_the_validation_split(workshop: Workshop) -> None:
    config = tiny_sweep()
    model = workshop.model("pixels", "floor")
    found = _Sweep(config, workshop)
    assert found.chosen_k() is None
    # The smaller k is far better on test, the larger one on validation.
    quality = {6: {"val": 0.2, "test": 1.0}, 12: {"val": 0.6, "test": 0.0}}
    for k, shares in quality.items():
        keys = {}
        for split, share in shares.items():
            keys[split] = f"made-up-{k}-{split}"
            scores = workshop.scores(model, split, TaskOptions(evaluate=config.evaluate))
            with_hits(scores, share).save(workshop.place.workspace / "evaluate" / keys[split])
        found.outcome.models.append(Entry("clusters", "clusters", k, 0, keys["val"], keys["test"]))
    assert found.chosen_k() == 12


def photo_sweep(tmp_path: Path) -> tuple[SweepConfig, Workplace, Path]:
    photos = write_class_folders(tmp_path / "photos", n_species=4, n_images=9)
    config = tiny_sweep(photos, k=(4,), objective=("clusters",))
    place = Workplace(workspace=tmp_path / "runs", quiet=True)
    return config, place, run_sweep(config, place).parent.parent


def test_a_report_is_written_again_from_saved_scores(tmp_path: Path) -> None:
    _, place, folder = photo_sweep(tmp_path)
    before = (folder / "report" / "report.json").read_bytes()
    for name in ("train", "embed"):  # neither models nor vectors are needed for it
        shutil.rmtree(place.workspace / name)
    shutil.rmtree(folder / "report")
    assert rewrite_report(folder) == folder / "report" / "index.html"
    assert (folder / "report" / "report.json").read_bytes() == before


def test_a_report_of_data_that_changed_is_refused(tmp_path: Path) -> None:
    config, place, folder = photo_sweep(tmp_path)
    (picture,) = tmp_path.glob("photos/Esox_specie00s/000.jpg")
    picture.write_bytes((tmp_path / "photos/Esox_specie00s/001.jpg").read_bytes())
    with pytest.raises(UsageError, match=r"data have changed.*Run the sweep again"):
        rewrite_report(folder)
    assert run_sweep(config, place).parent.parent != folder


def test_folders_without_a_scored_sweep_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"outcome\.json is missing.*run the sweep again"):
        rewrite_report(tmp_path)


@pytest.mark.slow
def test_seeds_share_the_controls_of_the_chosen_k(tmp_path: Path) -> None:
    photos = write_class_folders(tmp_path / "photos", n_species=4, n_images=9)
    config = tiny_sweep(photos, k=(3, 4), seeds=(0, 1))
    place = Workplace(workspace=tmp_path / "runs", quiet=True)
    folder = run_sweep(config, place).parent.parent
    models = json.loads((folder / "outcome.json").read_text())["models"]
    by_role = {
        role: [(one["k"], one["seed"]) for one in models if one["role"] == role]
        for role in ("clusters", "species", "random")
    }
    assert by_role["clusters"] == [(3, 0), (3, 1), (4, 0), (4, 1)]
    assert by_role["species"] == [(4, 0), (4, 1)]
    ((k, _), _) = by_role["random"]
    assert by_role["random"] == [(k, 0), (k, 1)]
    assert k in (3, 4)
    # The chosen k does not depend on resampling's draws.
    other = replace(config, evaluate=replace(config.evaluate, seed=5))
    again = run_sweep(other, place).parent.parent
    assert json.loads((again / "outcome.json").read_text())["models"] == models


def test_clusters_within_species_are_compared_by_how_many_there_are(tmp_path: Path) -> None:
    photos = write_class_folders(tmp_path / "photos", n_species=4, n_images=15)
    within = KMeansConfig(within="species")
    config = tiny_sweep(photos, k=(2, 50, 60), cluster=within, objective=("clusters",))
    place = Workplace(workspace=tmp_path / "runs", quiet=True)
    folder = run_sweep(config, place).parent.parent
    data = json.loads((folder / "report" / "report.json").read_text())
    ks = [model["k"] for model in data["models"] if model["role"] == "clusters"]
    # 50 and 60 both come to every cluster that the pictures of a species give.
    assert len(ks) == 2
    assert ks[0] == 8
    assert 8 < ks[1] <= 28
    assert [point["k"] for point in data["quality"]] == ks
    assert data["failures"] == []
    assert data["nearest"] is None
    stage = next(stage for stage in data["stages"] if stage["name"] == "Cluster")
    assert "each species of train" in stage["detail"]
