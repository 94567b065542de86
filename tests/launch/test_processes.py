"""The same sweep as one job, and as processes: the same report, and failures that are told."""

import os
import subprocess
import sys

import pytest

from fakes.sweeps import TINY

SWEEP = ["--data", TINY, "--k", "6", "12", "--objective", "clusters", "species", "random",
         "--train.epochs", "2", "--evaluate.resamples", "100"]  # fmt: skip


def syntype(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "syntype", *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def data_of(workspace):
    (path,) = workspace.glob("sweep/*/report/report.json")
    return path.read_bytes()


@pytest.mark.slow
def test_processes_report_what_one_process_does(tmp_path):
    whole, apart = tmp_path / "whole", tmp_path / "apart"
    assert syntype("sweep", *SWEEP, "--workspace", whole).returncode == 0
    done = syntype("launch", *SWEEP, "--on", "processes", "--workspace", apart)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("report/index.html")
    assert data_of(apart) == data_of(whole)
    again = syntype("launch", *SWEEP, "--on", "processes", "--workspace", apart)
    assert again.stdout == done.stdout
    assert "starts" not in again.stderr
    shown = syntype("launch", "--status", "--workspace", apart).stdout
    assert shown.count("done") == 6


@pytest.mark.slow
def test_a_part_that_fails_is_told_and_the_others_are_reported(tmp_path):
    sweep = [*SWEEP, "--quiet", "--workspace", tmp_path]
    sweep[sweep.index("12")] = "5000"
    done = syntype("launch", *sweep, "--on", "processes")
    assert done.returncode != 0
    assert "k-5000" in done.stderr
    assert "index.html" in done.stderr
    assert list(tmp_path.glob("sweep/*/report/index.html"))
    shown = syntype("launch", "--status", "--workspace", tmp_path).stdout
    assert shown.count("failed") >= 2
