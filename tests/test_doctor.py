from pathlib import Path

import pytest

from syntype import doctor


def test_every_check_gives_a_row(tmp_path: Path) -> None:
    rows = doctor.examine(tmp_path)
    assert [row[0] for row in rows][:2] == ["Python", "libraries"]
    assert not [row for row in rows if row[2] == "broken"]
    assert all(all(isinstance(cell, str) and cell for cell in row) for row in rows)


def test_a_broken_library_is_a_row_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> tuple[str, str, str]:
        raise ImportError("libcudart is missing")

    monkeypatch.setattr(doctor, "_accelerator", broken)
    rows = doctor.examine(tmp_path)
    assert ("broken", "ImportError: libcudart is missing", "broken") in rows


def test_a_workspace_that_does_not_exist_yet_is_judged_by_its_parent(tmp_path: Path) -> None:
    row = next(row for row in doctor.examine(tmp_path / "a" / "b") if row[0] == "workspace")
    assert str(tmp_path) in row[1]
    assert not (tmp_path / "a").exists()
