"""One training in several processes, through the real command line; and when one is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from fakes.sweeps import TINY

OPTIONS = [
    "--data", TINY, "--k", "12", "--train.epochs", "4", "--train.batch-size", "16",
    "--train.checkpoint-every", "3", "--quiet",
]  # fmt: skip


def syntype(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "syntype", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process):
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return Path(out.strip().splitlines()[-1].removeprefix("checkpoint:"))


def workers(process):
    """The processes that a process has started."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        return [int(one) for one in path.read_text().split()]
    except FileNotFoundError:
        return []


def until(check, process, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError(f"never came: {process.communicate()}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return done(syntype("train", *OPTIONS, "--workspace", tmp_path_factory.mktemp("alone")))


def close(found, expected):
    """Equal but for rounding; the folder of the run has the same name, as the question is."""
    assert found.parent.name == expected.parent.name
    one, other = (load_file(folder / "model.safetensors") for folder in (found, expected))
    for name, value in other.items():
        np.testing.assert_allclose(one[name], value, rtol=1e-2, atol=1e-4)
    history = [json.loads((folder.parent / "history.json").read_text()) for folder in
               (found, expected)]  # fmt: skip
    for line, twin in zip(*history, strict=True):
        assert line == pytest.approx(twin, rel=1e-3)


@pytest.mark.slow
def test_two_processes_train_what_one_does_and_count_every_step(alone, tmp_path):
    found = done(syntype("train", *OPTIONS, "--workspace", tmp_path, "--processes", 2))
    close(found, alone)
    lines = (found.parent / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(16))
    assert not list(found.parent.rglob("step-*"))


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "owner"])
def test_a_killed_process_ends_the_others_and_the_training_goes_on(alone, tmp_path, victim):
    options = [*OPTIONS, "--workspace", tmp_path]
    process = syntype("train", *options, "--processes", 2)
    until(lambda: list(tmp_path.rglob("step-00000003.json")), process)
    gang = workers(process)
    assert len(gang) == 2
    os.kill(gang[1] if victim == "worker" else process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    if victim == "worker":
        assert process.returncode != 0
        assert "Process 1 of 2" in errors
        assert "SIGKILL" in errors
    end = time.monotonic() + 30
    while any(Path(f"/proc/{one}").exists() for one in gang) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{one}").exists() for one in gang)
    close(done(syntype("train", *options)), alone)  # by one process, from the same checkpoints


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
