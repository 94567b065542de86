"""Sweeps in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syntype.configs import SweepConfig, Workplace
from syntype.sweep import run_sweep

Sweep = Callable[[SweepConfig], Path]


@pytest.fixture(scope="module", autouse=True)
def _worlds(home_of_worlds: Path) -> Iterator[None]:
    from fakes.worlds import drawn_once

    with drawn_once(home_of_worlds):
        yield


def _sweep_in(workspace: Path) -> Sweep:
    def run(config: SweepConfig) -> Path:
        return run_sweep(config, Workplace(workspace=workspace, quiet=True)).parent.parent

    return run


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures cost more than all the rest of a tiny sweep, and have tests of their own."""
    monkeypatch.setattr("syntype.report.page.draw_all", lambda data: [])


@pytest.fixture
def sweep(tmp_path: Path, no_figures: None) -> Sweep:
    """Runs a sweep in `tmp_path / "runs"` and gives its folder."""
    return _sweep_in(tmp_path / "runs")


@pytest.fixture(scope="module")
def common_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("common")


@pytest.fixture
def common_sweep(common_workspace: Path, no_figures: None) -> Sweep:
    """The same in a workspace that the tests of a module share, with what is in it."""
    return _sweep_in(common_workspace)
