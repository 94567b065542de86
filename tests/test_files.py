import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from syntype import files
from syntype.errors import ResourceError


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(IsADirectoryError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        tmp_path.read_text()
    assert list(target.parent.iterdir()) == []
    files.write_text(target, "whole")
    assert target.read_text() == "whole"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_json_is_equal_bytes_for_equal_content(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, "é"]})
    files.write_json(tmp_path / "b.json", {"a": [1.5, "é"], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert files.read_json(tmp_path / "a.json") == {"a": [1.5, "é"], "b": 1}


def test_nan_is_refused_in_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_to_do_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")

    def full(fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="--workspace"):
        files.write_text(target, "new")
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_real_full_disk(tmp_path: Path) -> None:
    """/dev/full refuses every write with ENOSPC, as a full disk does."""
    with (
        pytest.raises(ResourceError, match="full"),
        files.clear_disk_errors(tmp_path / "x"),
        Path("/dev/full").open("w") as handle,
    ):
        handle.write("x")
        handle.flush()


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ResourceError, match="may not be written"),
        files.clear_disk_errors(tmp_path),
    ):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.clear_disk_errors(tmp_path):
        (tmp_path / "none").read_bytes()


def test_a_killed_writer_leaves_the_old_file_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from syntype import files
        n = 0
        while True:
            files.write_json(Path({str(target)!r}), {{"n": [n] * 20000}})
            n += 1
        """
    )
    for pause in (0.0, 0.01, 0.03):
        process = subprocess.Popen([sys.executable, "-c", code])
        while not target.exists():
            time.sleep(0.01)
        time.sleep(0.1 + pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = json.loads(target.read_text())["n"]
        assert len(content) == 20000
        assert len(set(content)) == 1


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="not written by syntype"):
        files.as_mapping([1], tmp_path)


def test_folder_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"12345")
    (tmp_path / "y").write_bytes(b"1")
    assert files.folder_bytes(tmp_path) == 6
