"""What every test shares: shapes checked at run time, no network, and where the real data lie."""

import gc
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Two workers share two processors: one thread each, and none that spins while it waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

import typechecks

# Every annotated function of syntype is checked against its shapes and types, in tests only.
typechecks.install("syntype")

ROOT = Path(__file__).resolve().parents[1]


gc.disable()  # until all is imported, which leaves next to no garbage


def pytest_collection_finish() -> None:
    """What the imports left lives to the end: no later collection of garbage looks at it again.

    Nor does one in a forked process, which would copy every page that it touches.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def home_of_worlds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `fakes.worlds` keeps what it drew."""
    return tmp_path_factory.mktemp("worlds")


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real set, or a skip that says how to have it.

    The sets are not part of the project. They are looked for in SYNTYPE_REAL_DATA, else in
    `shared/data` beside the checkout.
    """
    home = Path(os.environ.get("SYNTYPE_REAL_DATA") or ROOT.parent / "shared" / "data")

    def find(name: str) -> Path:
        folder = home / name
        if not folder.is_dir():
            pytest.skip(
                f"real data set {name!r} is not in {home}: set SYNTYPE_REAL_DATA to its folder"
            )
        return folder

    return find
