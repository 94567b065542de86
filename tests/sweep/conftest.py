"""One small world and a workshop over it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.sweeps import tiny_sweep
from syntype.configs import Workplace
from syntype.sweep import Workshop


@pytest.fixture(scope="module", autouse=True)
def _worlds(home_of_worlds: Path) -> Iterator[None]:
    from fakes.worlds import drawn_once

    with drawn_once(home_of_worlds):
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return Workplace(workspace=tmp_path_factory.mktemp("runs"), quiet=True)


@pytest.fixture(scope="module")
def workshop(place: Workplace) -> Workshop:
    config = tiny_sweep()
    return Workshop.open(config.samples, config.embed, place)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four species of twelve pictures, and three pictures that cannot be read."""
    from fakes.class_folders import write_class_folders

    return write_class_folders(tmp_path / "photos", n_species=4, n_images=12, n_broken=3)
