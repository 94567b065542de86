"""A binding in several processes: what each is told, that it gives the same; killed and paused."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from binding.world import table
from sweep.processes import gone, said, syntype, until, workers
from syntype.configs import DataConfig, Workplace
from syntype.configs.bind import BindConfig
from syntype.progress import SILENT
from syntype.sweep import gang
from syntype.sweep.bindery import loaded, open_bindery
from syntype.sweep.orders import BindOrder, read_order, write_order
from training.gang import together

ENCODER = "untrained:test_vit?size=32"
PLACE = "untrained:place-sphere?hidden=16&frequencies=8&dim=16"
SENSES = {"place": PLACE, "climate": "untrained:climate-values?dim=64&depth=0"}
CONFIG = BindConfig(
    warm_epochs=1, epochs=1, unlocked_epochs=1, batch_size=7, lr=1e-3, background="observations",
)  # fmt: skip
OTHER = "untrained:place-sphere?hidden=8&frequencies=4&dim=16"


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    return table(tmp_path_factory.mktemp("media"), per_species=5, missing=True)


def share(world, path):
    order = read_order(path)
    order.work(order.place, world, SILENT)


@pytest.fixture
def forked(monkeypatch, tmp_path):
    """Gangs of forks, which start at once; what they were told, in order."""
    told = []

    def march(order, progress):
        del progress
        told.append(order)
        write_order(order, tmp_path / "order.json")
        together(order.place.processes, share, tmp_path / "order.json")

    monkeypatch.setattr(gang, "march", march)
    return told


def close(found, expected, weights=1e-3):
    """Equal but for rounding, which grows where gradients are almost zero."""
    paths = sorted(expected.rglob("*.safetensors"))
    assert paths
    for path in paths:
        one, other = load_file(found / path.relative_to(expected)), load_file(path)
        for name, value in other.items():
            np.testing.assert_allclose(one[name], value, rtol=1e-2, atol=weights)


def steps(observed, workspace, processes):
    """Every kind of training, and a folder for what each learned, in turn."""
    place = Workplace(workspace=workspace, device="cpu", processes=processes)
    order = BindOrder(str(observed), ENCODER, CONFIG, place, SENSES)
    bindery = open_bindery(order)
    locked = {name: bindery.locked(name, sense) for name, sense in bindery.projected.items()}
    bindery.locked("place", bindery.in_dimensions(loaded("place", OTHER, CONFIG, place)))
    senses = {name: one.senses[name] for name, one in locked.items()}
    scales = {name: one.temperatures[name] for name, one in locked.items()}
    both = bindery.unlocked(senses, scales)
    # Another one goes on from a tower that no file holds, as sequential patching does.
    tower = {name: one * 0.5 for name, one in both.tower.items()}
    bindery.unlocked({"place": senses["place"]}, {"place": scales["place"]}, tower)
    made = sorted(workspace.glob("bind-*/*/record.json"), key=lambda path: path.stat().st_mtime_ns)
    return [path.parent for path in made]


@pytest.mark.slow
def test_the_trainings_of_two_processes_are_those_of_one(observed, tmp_path, forked):
    expected = steps(observed, tmp_path / "one", 1)
    assert forked == []
    found = steps(observed, tmp_path / "two", 2)
    assert [(order.step, *order.tuned) for order in forked] == [
        ("warm",), ("locked", "place"), ("locked", "climate"), ("locked", "place"),
        ("unlocked", "place", "climate"), ("unlocked", "place"),
    ]  # fmt: skip
    assert [order.start is None for order in forked] == [True] * 4 + [False] * 2
    assert [one.parent.name for one in found] == [one.parent.name for one in expected]
    # The same question has the same folder; what starts from learned weights is named by them.
    assert found[0].name == expected[0].name
    for one, other in zip(found, expected, strict=True):
        close(one, other)
        if one.parent.name == "bind-warm":
            continue
        lines = (one / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(len(lines)))
        assert len(lines) in (2, 3)  # batches
    assert not list((tmp_path / "two").rglob("step-*"))


def test_an_order_is_read_as_it_was_written(tmp_path):
    asked = BindOrder("a.csv", ENCODER, CONFIG, Workplace(processes=3), SENSES)
    more = replace(
        asked, samples=DataConfig(data=("a.csv",), taxon=("Aves",)), step="unlocked",
        tuned={"place": PLACE}, start=tmp_path / "start", folder=tmp_path / "checkpoints",
    )  # fmt: skip
    for one in (asked, more):
        write_order(one, tmp_path / "order.json")
        assert read_order(tmp_path / "order.json") == one


def options(observed, workspace, processes, **changed):
    asked = {
        "place": PLACE,
        "bind.epochs": 40,
        "bind.unlocked-epochs": 0,
        "bind.batch-size": 5,
        "bind.checkpoint-every": 10,
        "bind.lr": 1e-3,
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    given = [text for name, value in asked.items() for text in (f"--{name}", value)]
    return [
        "bind", "--data", observed, "--encoder", ENCODER, *given, "--workspace", workspace,
        "--device", "cpu", "--processes", processes, "--quiet",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_command_line_binds_in_two_processes(observed, tmp_path):
    steps = {"bind.warm_epochs": 1, "bind.epochs": 2, "bind.unlocked_epochs": 1, "patch.grid": 2}
    folders = []
    for processes in (1, 2):
        asked = options(observed, tmp_path / str(processes), processes, **steps)
        folder, page = said(syntype(*asked))
        assert Path(page).read_text().startswith("<!")
        folders.append(Path(folder))
    for verb in ("bind-warm", "bind-locked", "bind-unlocked"):
        one, two = (next((tmp_path / name).glob(f"{verb}/*")) for name in ("1", "2"))
        close(two, one)
    records = [json.loads((folder / "record.json").read_text()) for folder in folders]
    assert records[0]["spaces"] == records[1]["spaces"]


@pytest.mark.slow
@pytest.mark.parametrize("step", ["bind-warm", "bind-locked", "bind-unlocked"])
def test_a_killed_process_loses_nothing(observed, tmp_path, step):
    longer = {
        "bind-warm": {"bind.warm_epochs": 60, "bind.epochs": 1},
        "bind-locked": {"bind.epochs": 150},
        "bind-unlocked": {"bind.epochs": 1, "bind.unlocked_epochs": 80, "patch.grid": 2},
    }[step]
    process = syntype(*options(observed, tmp_path / "killed", 2, **longer))
    until(lambda: list((tmp_path / "killed").glob(f"{step}/*/checkpoints/*.json")), process)
    started = workers(process)
    assert len(started) == 2
    os.kill(started[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Process 1 of 2" in errors
    assert "SIGKILL" in errors
    assert "Run the same command again" in errors
    assert gone(started)
    (run,) = (tmp_path / "killed").glob(f"{step}/*")
    kept = sorted(run.rglob("step-*.json"))
    assert kept  # it was not done yet
    at = int(kept[-1].stem.split("-")[1])
    said(syntype(*options(observed, tmp_path / "killed", 1, **longer)))  # goes on, alone
    assert [one.name for one in run.parent.iterdir()] == [run.name]
    assert (run / "record.json").is_file()
    assert not list(run.rglob("step-*"))
    if step != "bind-warm":
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == list(range(len(lines)))
        assert at < len(lines)


@pytest.mark.slow
def test_a_signal_pauses_it_at_a_checkpoint(observed, tmp_path):
    asked = {"bind.epochs": 20000, "bind.checkpoint_every": 1000000}
    process = syntype(*options(observed, tmp_path, 2, **asked))
    metrics = until(lambda: list(tmp_path.glob("bind-locked/*/metrics.jsonl")), process)[0]
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert "paus" in errors.lower()
    (saved,) = metrics.parent.rglob("step-*.json")
    paused_at = int(saved.stem.split("-")[1])
    assert paused_at > 0
    process = syntype(*options(observed, tmp_path, 1, **asked))  # goes on, from there
    until(lambda: len(metrics.read_text().splitlines()) > paused_at, process)
    lines = [line for line in metrics.read_text().splitlines() if line.endswith("}")]
    assert [json.loads(line)["step"] for line in lines] == list(range(len(lines)))
    process.kill()
    process.communicate()
