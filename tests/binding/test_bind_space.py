"""From a table of observations to spaces, by the function and by the command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from binding.world import table
from syntype.binding.space import Space
from syntype.cli import app
from syntype.configs import Workplace
from syntype.configs.bind import BindConfig, PatchConfig
from syntype.data.observations import read_observations
from syntype.errors import DataNotFoundError, UsageError
from syntype.sweep.binding import bind_space, repatch, spaces_of

ENCODER = "untrained:test_resnet?size=32"
SENSES = {
    "place": "untrained:place-sphere?hidden=16&frequencies=8&dim=64",
    "climate": "untrained:climate-values?dim=16&depth=1",
}
CONFIG = BindConfig(
    warm_epochs=1, epochs=2, unlocked_epochs=1, batch_size=32, lr=1e-2, crop=1.0, flip=False,
    background="observations",
)  # fmt: skip
PATCH = PatchConfig(grid=3)


def asked(folder, **options):
    given = {
        "data": str(table(folder / "media", per_species=5, missing=True)),
        "encoder": ENCODER,
        "senses": SENSES,
        "config": CONFIG,
        "place": Workplace(workspace=folder / "runs", device="cpu"),
        "patching": PATCH,
    }
    return given | options


def test_every_step_leaves_a_space(tmp_path):
    given = asked(tmp_path, compare=("place=untrained:place-harmonics?degrees=4&dim=16&hidden=16",))
    folder = bind_space(**given)
    made = spaces_of(folder)
    assert [one.role for one in made] == [
        "image only", "locked", "compared", "unlocked", "unlocked", "patched",
    ]  # fmt: skip
    seen = read_observations(given["data"], workspace=tmp_path / "runs")
    keys = set()
    for one in made:
        space = Space.open(folder / one.folder, workspace=tmp_path / "runs", device="cpu")
        keys.add(space.key)
        assert "text" in space.modalities
        wanted = {"image", "text"} | (set() if one.role == "image only" else set(SENSES))
        assert set(space.modalities) == wanted
        ids, vectors = space.vectors(seen, "image")
        assert vectors.shape == (len(ids), space.binder.dim)
    assert len(keys) >= len(made) - 1  # a patch of 0 is the locked binder
    curves = json.loads((folder / "curves.json").read_text())
    assert {"alpha place", "alpha together", "beta climate"} <= curves["curves"].keys()
    fusion = json.loads((folder / "fusion.json").read_text())
    assert fusion["weights"]["weights"].keys() == {"image", "place", "climate"}
    assert {tuple(one["senses"]) for one in fusion["combinations"]} == {
        ("image",), ("climate", "image"), ("image", "place"), ("climate", "image", "place"),
    }  # fmt: skip
    before = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    stamps = [path.stat().st_mtime_ns for path in before]
    assert bind_space(**given) == folder
    assert [path.stat().st_mtime_ns for path in before] == stamps


def test_what_cannot_be_bound_is_refused_before_anything_is_computed(tmp_path):
    config = replace(CONFIG, background="sphere")  # and the climate has no raster
    with pytest.raises(UsageError, match=r"--bind.background observations"):
        bind_space(**asked(tmp_path, config=config))
    assert not (tmp_path / "runs").exists()


def test_another_patch_uses_the_same_trainings(tmp_path):
    folder = bind_space(**asked(tmp_path))
    trainings = sorted((tmp_path / "runs").glob("bind-*/*/record.json"))
    other = repatch(folder, replace(PATCH, budget=0.9, target="mean"), Workplace(device="cpu"))
    assert other != folder
    assert other.parent == folder.parent
    assert sorted((tmp_path / "runs").glob("bind-*/*/record.json")) == trainings
    with pytest.raises(DataNotFoundError, match="holds no binding"):
        repatch(tmp_path, PATCH, Workplace(device="cpu"))


def test_locked_alone_is_imagebinds_recipe(tmp_path):
    folder = bind_space(**asked(tmp_path, config=replace(CONFIG, unlocked_epochs=0)))
    assert [one.name for one in spaces_of(folder)] == ["image only", "locked"]
    spaces = [Space.open(folder / one.folder, device="cpu") for one in spaces_of(folder)]
    assert spaces[0].binder.key == spaces[1].binder.key
    assert not (folder / "curves.json").exists()


def test_what_cannot_be_asked(tmp_path):
    with pytest.raises(UsageError, match="at least one sense"):
        bind_space(**asked(tmp_path, senses={}))
    with pytest.raises(UsageError, match="is of place, not of sound"):
        bind_space(**asked(tmp_path, senses={"sound": SENSES["place"]}))
    with pytest.raises(UsageError, match="give --sound too"):
        bind_space(**asked(tmp_path, compare=("sound=untrained:sound-small",)))


def test_the_command_line(tmp_path, capsys):
    given = asked(tmp_path)
    common = ["--workspace", str(tmp_path / "runs"), "--device", "cpu", "--quiet"]
    app(
        ["bind", "--data", given["data"], "--encoder", ENCODER, "--place", SENSES["place"],
         "--bind.warm-epochs", "1", "--bind.epochs", "1", "--bind.unlocked-epochs", "1",
         "--bind.lr", "0.01", "--patch.grid", "3", *common]
    )  # fmt: skip
    folder, page = capsys.readouterr().out.split()
    assert Path(page).read_text().startswith("<!")
    assert folder.startswith(str(tmp_path / "runs" / "bind"))
    app(["patch", folder, "--patch.budget", "0.5", "--patch.grid", "3", *common])
    other, other_page = capsys.readouterr().out.split()
    assert other != folder
    assert other_page != page
    assert np.isfinite(json.loads((tmp_path / other / "record.json").read_text())["alpha"]["place"])
