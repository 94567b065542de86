"""One training in several processes, through the real command line; and when one is killed."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from fakes.sweeps import TINY
from sweep.processes import gone, said, syntype, until, workers
from syntype.configs import ClusterConfig, DataConfig, EmbedConfig, TrainConfig, Workplace
from syntype.errors import UsageError
from syntype.progress import SILENT
from syntype.sweep import gang
from syntype.sweep.orders import TrainOrder, read_order, write_order

OPTIONS = [
    "--data", TINY, "--k", "12", "--train.epochs", "4", "--train.batch-size", "16",
    "--train.checkpoint-every", "3", "--quiet",
]  # fmt: skip
# Long enough for a kill in its midst, however late it is noticed that there is a checkpoint.
LONGER = [{"4": "64", "3": "8"}.get(option, option) for option in OPTIONS]


def done(process):
    return Path(said(process)[-1].removeprefix("checkpoint:"))


def order(**place):
    return TrainOrder(
        samples=DataConfig(data=(TINY,)),
        embed=EmbedConfig(dtype="float16"),
        place=Workplace(**place),
        base="untrained:test_resnet",
        objective="clusters",
        cluster=ClusterConfig(k=12),
        train=TrainConfig(epochs=4),
        folder=Path("checkpoints"),
    )


def test_an_order_is_read_as_it_was_written(tmp_path):
    for asked in (order(processes=2), replace(order(track=()), cluster=None)):
        write_order(asked, tmp_path / "order.json")
        assert read_order(tmp_path / "order.json") == asked


def test_each_process_has_a_gpu_or_none_has(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("syntype.encoders.load.resolve_device", lambda text: torch.device(text))
    with pytest.raises(UsageError, match="this machine has 1: take --processes 1, or --device cpu"):
        gang.march(order(device="cuda", processes=2), SILENT)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return done(syntype("train", *OPTIONS, "--workspace", tmp_path_factory.mktemp("alone")))


@pytest.fixture(scope="module")
def longer_alone(tmp_path_factory):
    return done(syntype("train", *LONGER, "--workspace", tmp_path_factory.mktemp("longer")))


def close(found, expected, weights=1e-4, history=1e-3, least=0.0):
    """Equal but for rounding; the folder of the run has the same name, as the question is."""
    assert found.parent.name == expected.parent.name
    one, other = (load_file(folder / "model.safetensors") for folder in (found, expected))
    for name, value in other.items():
        np.testing.assert_allclose(one[name], value, rtol=1e-2, atol=weights)
    lines = [json.loads((folder.parent / "history.json").read_text()) for folder in
             (found, expected)]  # fmt: skip
    for line, twin in zip(*lines, strict=True):
        assert line == pytest.approx(twin, rel=history, abs=least)


@pytest.mark.slow
def test_two_processes_train_what_one_does_and_count_every_step(alone, tmp_path):
    found = done(syntype("train", *OPTIONS, "--workspace", tmp_path, "--processes", 2))
    close(found, alone)
    lines = (found.parent / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(16))
    assert not list(found.parent.rglob("step-*"))


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "owner"])
def test_a_killed_process_ends_the_others_and_the_training_goes_on(longer_alone, tmp_path, victim):
    options = [*LONGER, "--workspace", tmp_path]
    process = syntype("train", *options, "--processes", 2)
    until(lambda: list(tmp_path.rglob("step-*.json")), process)
    started = workers(process)
    assert len(started) == 2
    os.kill(started[1] if victim == "worker" else process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    if victim == "worker":
        assert process.returncode != 0
        assert "Process 1 of 2" in errors
        assert "SIGKILL" in errors
    assert gone(started)
    assert list(tmp_path.rglob("step-*.json"))  # it was not done yet
    found = done(syntype("train", *options))  # by one process, from the same checkpoints
    # Two processes and one round differently, which shows where gradients are almost zero.
    close(found, longer_alone, weights=3e-3, history=0.05, least=0.02)
    lines = (found.parent / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(256))


@pytest.mark.slow
@pytest.mark.parametrize("n_processes", [1, 2])
def test_a_signal_pauses_it_at_a_checkpoint(tmp_path, n_processes):
    options = [*OPTIONS, "--workspace", tmp_path, "--processes", n_processes]
    options[options.index("--train.checkpoint-every") + 1] = "100000"
    options[options.index("--train.epochs") + 1] = "1000"  # longer than it takes to be asked
    process = syntype("train", *options)
    folder = until(lambda: list(tmp_path.glob("train/*/metrics.jsonl")), process)[0].parent
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 75, errors
    assert "paus" in errors.lower()
    (saved,) = folder.rglob("step-*.json")
    paused_at = int(saved.stem.split("-")[1])
    assert 0 < paused_at < 4000
    process = syntype("train", *options)  # goes on, from there
    text = lambda: (folder / "metrics.jsonl").read_text()  # noqa: E731 - read anew each time
    until(lambda: len(text().splitlines()) > paused_at, process)
    steps = [json.loads(line)["step"] for line in text().splitlines() if line.endswith("}")]
    assert steps == list(range(len(steps)))
    process.kill()
    process.communicate()
