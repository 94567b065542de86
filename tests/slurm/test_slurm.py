"""A sweep on a real SLURM: jobs run into their limit, one is killed, and the report is the same."""

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.sweeps import TINY
from slurm.cluster import missing, start, stop

pytestmark = pytest.mark.slurm

TRAIN = ["--data", TINY, "--train.batch-size", "8", "--train.checkpoint-every", "200", "--quiet"]
SWEEP = [*TRAIN, "--k", "6", "12", "--objective", "clusters", "random",
         "--evaluate.resamples", "100"]  # fmt: skip
LONGER = 80.0  # seconds that a training is to take: more than the limit
# As little time as SLURM knows. It looks every 30 seconds, so the signal comes within the 30
# seconds before the last 10.
PROFILE = """
cpus = 1
time = "00:10:00"
array_parallelism = 2
environment = { OMP_NUM_THREADS = "1" }
[train]
time = "00:01:00"
signal_minutes = 0.17
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    if absent := missing():
        pytest.skip(f"SLURM is not installed here ({', '.join(absent)} missing): "
                    "apt-get install --no-install-recommends slurm-wlm munge")  # fmt: skip
    folder = tmp_path_factory.mktemp("slurm")
    path = start(folder)
    yield {**os.environ, "SLURM_CONF": str(path), "OMP_NUM_THREADS": "1"}
    stop(folder)


def syntype(environment, *arguments, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "syntype", *map(str, arguments)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stderr
    return done


def slurm(environment, *command):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def until(check, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.5)
    raise AssertionError("it never came")


def events(workspace):
    paths = list(workspace.glob("launch/*/events.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def happened(workspace, part, event):
    return [one for one in events(workspace) if (one["part"], one["event"]) == (part, event)]


def data_of(workspace):
    (path,) = workspace.glob("sweep/*/report/report.json")
    return path.read_bytes()


def released(environment, check, seconds):
    """Wait for something, and let jobs that were queued again start at once: SLURM would hold them
    for two minutes."""

    def look():
        for line in slurm(environment, "squeue", "-h", "-r", "-o", "%i %r").splitlines():
            job, _, reason = line.partition(" ")
            if reason == "BeginTime":
                slurm(environment, "scontrol", "update", f"JobId={job}", "StartTime=now")
        return check()

    return until(look, seconds)


def ended(workspace, part):
    return happened(workspace, part, "done") or happened(workspace, part, "failed")


def epochs_that_take(seconds, environment, workspace):
    """How many epochs this machine trains in so many seconds."""
    n = 50
    syntype(environment, "train", *TRAIN, "--k", 6, "--train.epochs", n, "--workspace", workspace)
    (path,) = workspace.glob("train/*/metrics.jsonl")
    first, *_, last = (json.loads(line)["time"] for line in path.read_text().splitlines())
    return math.ceil(seconds / (last - first) * n)


def test_a_sweep_survives_limits_and_a_kill_and_reports_the_same(cluster, tmp_path):
    workspace, profile = tmp_path / "runs", tmp_path / "profile.toml"
    profile.write_text(PROFILE)
    sweep = [*SWEEP, "--train.epochs", epochs_that_take(LONGER, cluster, tmp_path / "trial")]
    options = [*sweep, "--workspace", workspace, "--on", "slurm", "--profile", profile]
    syntype(cluster, "launch", *options)
    again = syntype(cluster, "launch", *options, check=False)
    assert again.returncode != 0
    assert "under way already" in again.stderr
    (jobs_path,) = workspace.glob("launch/*/jobs.json")
    jobs = json.loads(jobs_path.read_text())
    assert set(jobs) == {"embed", "k-6", "k-12", "random", "report"}

    # One training is killed outright, and cannot say so; the other runs into its limit.
    until(lambda: happened(workspace, "k-12", "start"), 180)
    released(
        cluster, lambda: len({p.parent for p in workspace.glob("train/*/**/step-*.json")}) == 2, 300
    )
    slurm(cluster, "scancel", "--signal=KILL", jobs["k-12"])
    released(cluster, lambda: ended(workspace, "report"), 1200)
    assert happened(workspace, "k-6", "paused")
    starts = happened(workspace, "k-6", "start")
    assert [one["restart"] for one in starts] == list(range(len(starts)))
    assert happened(workspace, "k-6", "done")
    assert "k = 12" in happened(workspace, "report", "failed")[0]["message"]
    shown = syntype(cluster, "launch", "--status", "--workspace", workspace).stdout
    assert "killed" in shown
    printed = syntype(cluster, "launch", "--logs", "k-6", "--workspace", workspace).stdout
    assert "Going on from step" in printed

    # The same command does what is missing, and what follows from it.
    syntype(cluster, "launch", *options)
    later = json.loads(jobs_path.read_text())
    assert {part for part in jobs if later[part] != jobs[part]} == {"k-12", "random", "report"}
    released(cluster, lambda: happened(workspace, "report", "done"), 1200)
    print(syntype(cluster, "launch", "--status", "--workspace", workspace).stdout)

    local = tmp_path / "local"
    syntype(os.environ | {"OMP_NUM_THREADS": "1"}, "sweep", *sweep, "--workspace", local)
    assert data_of(workspace) == data_of(local)
    assert Path(happened(workspace, "report", "done")[0]["page"]).is_file()
