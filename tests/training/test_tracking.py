"""Metrics: a line a step, whole after a kill, and no tool can stop a training."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from syntype.errors import UsageError
from syntype.training.tracking import FILE, Tracking


def line(step, loss=0.5):
    return {"step": step, "epoch": 0, "samples": 4, "lr": 0.1, "loss": loss}


def lines(folder):
    return [json.loads(text) for text in (folder / FILE).read_text().splitlines()]


class Listener:
    def __init__(self):
        self.said = []

    def say(self, text):
        self.said.append(text)

    def task(self, title, total, done=0):
        raise NotImplementedError


def test_a_line_a_step_with_rate_and_time(tmp_path):
    with Tracking(tmp_path) as tracking:
        tracking.resume(0)
        for step in range(3):
            tracking.write(line(step))
        tracking.write(line(3, float("nan")))
    found = lines(tmp_path)
    assert [one["step"] for one in found] == [0, 1, 2, 3]
    assert found[0]["samples_per_second"] > 0
    assert found[0]["time"] > 1e9
    assert found[3]["loss"] is None


def test_a_training_that_goes_on_drops_the_steps_it_takes_again(tmp_path):
    with Tracking(tmp_path) as tracking:
        tracking.resume(0)
        for step in range(5):
            tracking.write(line(step))
    with (tmp_path / FILE).open("a") as handle:
        handle.write('{"step": 5, "los')  # torn by a kill
    with Tracking(tmp_path) as tracking:
        tracking.resume(3)
        assert [one["step"] for one in lines(tmp_path)] == [0, 1, 2]
        tracking.write(line(3))
    assert [one["step"] for one in lines(tmp_path)] == [0, 1, 2, 3]


def test_tensorboard_shows_each_step_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, stop in ((0, 4), (2, 5)):
        with Tracking(tmp_path, ["tensorboard"], {"k": 3}) as tracking:
            tracking.resume(start)
            for step in range(start, stop):
                tracking.write(line(step, loss=float(step)))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [
        (step, float(step)) for step in range(5)
    ]


@pytest.fixture
def calls():
    return []


@pytest.fixture
def mlflow(monkeypatch, calls):
    module = ModuleType("mlflow")
    module.is_tracking_uri_set = lambda: False
    module.set_tracking_uri = lambda uri: calls.append(("uri", uri))
    module.log_params = lambda config: calls.append(("params", config))
    module.log_metrics = lambda metrics, step: calls.append(("metrics", step, metrics["loss"]))
    module.end_run = lambda: calls.append(("end",))

    def start_run(run_id=None, run_name=None):
        calls.append(("start", run_id))
        return SimpleNamespace(info=SimpleNamespace(run_id="abc"))

    module.start_run = start_run
    monkeypatch.setitem(sys.modules, "mlflow", module)


@pytest.mark.usefixtures("mlflow")
def test_mlflow_goes_on_with_the_same_run(tmp_path, calls):
    for start in (0, 1):
        with Tracking(tmp_path, ["mlflow"], {"k": 3}) as tracking:
            tracking.resume(start)
            tracking.write(line(start))
    kinds = [call for call in calls if call[0] != "uri"]
    assert kinds == [
        ("start", None), ("params", {"k": 3}), ("metrics", 0, 0.5), ("end",),
        ("start", "abc"), ("metrics", 1, 0.5), ("end",),
    ]  # fmt: skip


def test_wandb_resumes_by_the_folder(tmp_path, monkeypatch, calls):
    module = ModuleType("wandb")

    class Run:
        def log(self, metrics, step):
            calls.append((step, metrics["loss"]))

        def finish(self):
            calls.append("finish")

    def init(**options):
        calls.append((options["id"], options["resume"]))
        return Run()

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    for step in (0, 1):
        with Tracking(tmp_path, ["wandb"]) as tracking:
            tracking.resume(step)
            tracking.write(line(step))
    assert calls[0] == calls[3]
    assert calls[0][1] == "allow"
    assert [calls[1], calls[2], calls[4]] == [(0, 0.5), "finish", (1, 0.5)]


def test_a_tool_that_fails_is_left_behind_with_a_word(tmp_path, monkeypatch):
    module = ModuleType("wandb")

    def init(**options):
        raise ConnectionError("no network")

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    listener = Listener()
    with Tracking(tmp_path, ["wandb"], progress=listener) as tracking:
        tracking.resume(0)
        tracking.write(line(0))
    assert len(lines(tmp_path)) == 1
    assert len(listener.said) == 1
    assert "wandb failed (no network)" in listener.said[0]


def test_a_tool_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r"--track wandb.*pip install wandb"):
        Tracking(tmp_path, ["wandb"])
