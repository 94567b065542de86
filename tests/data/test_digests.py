import os
from pathlib import Path

import pytest

from fakes.pictures import write_picture
from syntype.data.digests import digest_pictures
from syntype.provenance import bytes_hash, file_hash


def reasons(root: Path, images: list[str], memory: Path, known: list[str] | None = None):
    found = digest_pictures(root, images, known or [""] * len(images), memory=memory)
    return [one.digest or one.reason for one in found]


def test_digests_of_files_and_byte_ranges(tmp_path: Path) -> None:
    picture = write_picture(tmp_path / "a.jpg")
    (tmp_path / "shard").write_bytes(b"0123456789")
    found = reasons(tmp_path, ["a.jpg", "shard#2+3", "shard#8+3"], tmp_path / "memory")
    assert found == [
        file_hash(picture),
        bytes_hash(b"234"),
        "the byte range ends behind the file",
    ]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    images = ["empty.jpg", "folder.jpg", "link.jpg", "gone.jpg"]
    found = reasons(tmp_path, images, tmp_path / "memory")
    assert found[0] == "the file is empty"
    assert found[1].startswith("cannot be read: Is a directory")
    assert found[2:] == ["no such file", "no such file"]


def test_known_digests_are_trusted_but_their_files_must_be_there(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.jpg")
    found = reasons(tmp_path, ["a.jpg", "b.jpg"], tmp_path / "memory", ["k", "k"])
    assert found == ["k", "no such file"]


def test_files_are_read_once_until_they_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, memory = tmp_path / "set", tmp_path / "memory"
    path = write_picture(root / "a.jpg")
    write_picture(root / "b.jpg")
    first = reasons(root, ["a.jpg", "b.jpg"], memory)
    opened = []
    real_open = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *a, **k: opened.append(self.name) or real_open(self, *a, **k)
    )
    assert reasons(root, ["a.jpg", "b.jpg"], memory) == first
    assert "a.jpg" not in opened
    write_picture(path, "other")
    os.utime(path, ns=(1, 1))
    assert reasons(root, ["a.jpg", "b.jpg"], memory) == [file_hash(path), first[1]]


def test_a_broken_memory_is_forgotten(tmp_path: Path) -> None:
    root, memory = tmp_path / "set", tmp_path / "memory"
    write_picture(root / "a.jpg")
    first = reasons(root, ["a.jpg"], memory)
    (file,) = memory.iterdir()
    file.write_bytes(b"broken")
    assert reasons(root, ["a.jpg"], memory) == first
