"""Writing a world: complete, resumable, the same bytes whoever draws; and its science is sane."""

import functools
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from syntype.data.synthetic import WorldConfig, grow_world, parse_size, write, write_world
from syntype.errors import ResourceError, UsageError
from syntype.files import folder_bytes
from syntype.provenance import bytes_hash

FEW = WorldConfig(n_species=6, n_images=30, image_size=32, singletons=0.0)
OTHER = WorldConfig(n_species=6, n_images=30, image_size=32, singletons=0.0, seed=1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_world(parse_size("tiny"), tmp_path_factory.mktemp("tiny"), workers=2)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return write_world(FEW, tmp_path_factory.mktemp("few"), workers=1)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".tmp")
    }


class Counting:
    """A progress that keeps what it was told."""

    def __init__(self):
        self.total = self.done = 0

    def task(self, title, total, done=0):
        self.total, self.done = total, done
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, n=1):
        self.done += n

    def note(self, text):
        pass

    def say(self, text):
        pass


def test_the_dataset_is_complete(tiny):
    assert len(tiny) == 240
    assert tiny.cards[0].license == "CC0-1.0"
    assert tiny.notes == {
        "species": 12,
        "true_modes": grow_world(parse_size("tiny")).n_true_modes,
    }
    for row in (0, 100, 239):
        content = tiny.read(row)
        assert bytes_hash(content) == tiny.column("imageDigest")[row]
        picture = Image.open(io.BytesIO(content))
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (64, 64), "RGB")


def test_files_hold_what_was_drawn(few):
    world = grow_world(FEW)
    for row in (0, 29):
        shown = np.asarray(Image.open(io.BytesIO(few.read(row)))).astype(float)
        assert np.abs(shown - world.draw(row)).mean() < 4


def test_processes_and_one_process_write_the_same_bytes(few, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_WORTH_A_PROCESS", 10)
    monkeypatch.setattr(write, "_CHUNK", 7)
    counting = Counting()
    many = write_world(FEW, tmp_path, workers=2, progress=counting)
    assert (counting.total, counting.done) == (30, 30)
    assert _bytes(tmp_path) == _bytes(few.roots["synthetic"])
    assert many.revision == few.revision


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(few, tmp_path):
    whole = _bytes(few.roots["synthetic"])
    folder = tmp_path / "killed"
    for number, (name, content) in enumerate(sorted(whole.items())):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "world.json" or (number % 3 and name.endswith("jpg")):
            path.write_bytes(content)
        elif name.endswith("jpg"):
            path.with_name(f".{path.name}.1.tmp").write_bytes(content[:50])
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.jpg")}
    counting = Counting()
    again = write_world(FEW, folder, workers=1, progress=counting)
    assert counting.done == counting.total == 30
    assert _bytes(folder) == whole
    assert again.revision == few.revision
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in kept.items())


def test_a_complete_world_is_read_and_a_lost_picture_drawn_again(few, tmp_path):
    folder = few.roots["synthetic"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = write_world(FEW, folder)
    assert again.table.equals(few.table)
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    lost = folder / few.column("image")[3]
    content = lost.read_bytes()
    lost.unlink()
    write_world(FEW, folder)
    assert lost.read_bytes() == content


def test_another_world_does_not_mix_in(few):
    size = folder_bytes(few.roots["synthetic"])
    with pytest.raises(UsageError, match="holds another synthetic world"):
        write_world(OTHER, few.roots["synthetic"])
    assert folder_bytes(few.roots["synthetic"]) == size


def test_a_killed_process_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "_WORTH_A_PROCESS", 10)
    monkeypatch.setattr(write, "_end_with_parent", functools.partial(os._exit, 3))
    with pytest.raises(ResourceError, match="goes on where it stopped"):
        write_world(FEW, tmp_path, workers=2)
    assert not (tmp_path / "catalogue.parquet").exists()


SCRIPT = """
import sys
from pathlib import Path
print("started", flush=True)
from syntype.data.synthetic import parse_size, write_world
write_world(parse_size(sys.argv[1]), Path(sys.argv[2]), workers=2)
print("torch" in sys.modules, "concurrent.futures.process" in sys.modules)
"""


def test_a_script_without_a_main_guard_runs_once_and_without_torch(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    size = "species=12,images=200,size=32,singletons=0"
    answer = subprocess.run(
        [sys.executable, str(script), size, str(tmp_path / "world")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert answer.stdout.split() == ["started", "False", "True"]


def _alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
def test_workers_die_with_a_killed_parent(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "world"
    script.write_text(SCRIPT)
    size = "species=12,images=3000,size=128"
    with subprocess.Popen([sys.executable, str(script), size, str(folder)]) as parent:
        limit = time.monotonic() + 60
        while not list(folder.glob("images/*/*.jpg")) and time.monotonic() < limit:
            time.sleep(0.05)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.send_signal(signal.SIGKILL)
    assert len(children) >= 2
    limit = time.monotonic() + 20
    while any(_alive(pid) for pid in children) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in children)
    assert not (folder / "catalogue.parquet").exists()


def test_thumbnails_find_modes_and_confuse_species(tiny):
    pictures = [
        np.asarray(Image.open(io.BytesIO(tiny.read(row))).resize((12, 12), Image.Resampling.BOX))
        for row in range(len(tiny))
    ]
    flat = np.stack(pictures).reshape(len(tiny), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    species, mode, unit = (tiny.column(name) for name in ("species", "mode", "unit"))
    alike = flat @ flat.T
    alike[unit[:, None] == unit[None]] = -np.inf
    nearest = alike.argmax(axis=1)
    right = species[nearest] == species
    assert 0.3 < right.mean() < 0.9
    # By chance, two pictures of one species share a mode in about 4 of 10 cases.
    assert (mode[nearest] == mode)[right].mean() > 0.8
