"""Where media lie: text and back, bytes and what goes wrong, in threads and forked processes."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.catalogues import everywhere, jpeg, write_tar
from syntype.data.locator import Locator, ask_ahead, forget, read

PATHS = st.text("abc/#+~.@ ü", min_size=1, max_size=12).filter(
    lambda path: str(Locator.of(path)) == path and not Locator.of(path).store
)


@given(PATHS, st.sampled_from(["", "span", "deflate", "cell image.bytes"]), st.integers(0, 2**40))
def test_a_locator_is_the_same_after_text(path: str, store: str, offset: int) -> None:
    place = Locator(path, store, offset if store else 0, 7 if store in ("span", "deflate") else 0)
    assert Locator.of(str(place)) == place


def test_each_store_gives_the_bytes(tmp_path: Path) -> None:
    rows = everywhere(tmp_path, 40)
    stores = set()
    for number, row in enumerate(rows):
        place = Locator(
            row["image"], row["imageStore"], row.get("imageOffset", 0), row.get("imageLength", 0)
        )
        stores.add(place.store)
        assert read(tmp_path, place) == jpeg(number)
    assert stores == {"", "span", "deflate", "cell image.bytes"}


def test_threads_and_forked_processes_share_the_files(tmp_path: Path) -> None:
    places = write_tar(tmp_path / "a.tar", {f"{i}.jpg": jpeg(i) for i in range(30)})
    locators = [Locator("a.tar", "span", p["imageOffset"], p["imageLength"]) for p in places]

    def wrong() -> int:
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda i: read(tmp_path, locators[i]) == jpeg(i), [*range(30)] * 5)
            return sum(not right for right in found)

    assert wrong() == 0
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    children = [fork.Process(target=lambda: queue.put(wrong())) for _ in range(3)]
    for child in children:
        child.start()
    assert [queue.get() for _ in children] == [0, 0, 0]
    for child in children:
        child.join()


def test_many_files_do_not_stay_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(300):
        (tmp_path / f"{number}").write_bytes(b"12345")
        assert read(tmp_path, Locator(f"{number}", "span", 1, 3)) == b"234"
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 140


def test_a_file_that_is_replaced_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    assert read(tmp_path, Locator("a", "span", 0, 3)) == b"old"
    path.unlink()
    path.write_bytes(b"new")
    forget(path)
    assert read(tmp_path, Locator("a", "span", 0, 3)) == b"new"


def test_what_is_not_as_the_locator_says_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"no parquet, nothing compressed")
    pq.write_table(pa.table({"image": [b"1"]}), tmp_path / "t.parquet")
    for place in (
        Locator("a", "deflate", 0, 10),
        Locator("a", "cell image", 0),
        Locator("t.parquet", "cell image", 5),
        Locator("t.parquet", "cell other", 0),
    ):
        with pytest.raises(OSError, match=r"\w"):
            read(tmp_path, place)
    with pytest.raises(FileNotFoundError):
        read(tmp_path, Locator("gone", "span", 0, 1))
    ask_ahead(tmp_path, "gone", 0, 1)  # a hint never fails
