from pathlib import Path

from syntype.sweep.memory import recall, remember


def test_what_was_loaded_is_recalled(tmp_path: Path) -> None:
    assert recall(tmp_path, "pixels") is None
    remember(tmp_path, "pixels", {"weights": "none", "preprocess": {"size": 64}})
    assert recall(tmp_path, "pixels") == {"weights": "none", "preprocess": {"size": 64}}
    assert recall(tmp_path, "descriptors") is None


def test_the_last_one_counts_and_the_same_again_writes_nothing(tmp_path: Path) -> None:
    remember(tmp_path, "checkpoint:here", {"weights": "1"})
    (path,) = (tmp_path / "encoders").iterdir()
    before = path.stat().st_mtime_ns
    remember(tmp_path, "checkpoint:here", {"weights": "1"})
    assert path.stat().st_mtime_ns == before
    remember(tmp_path, "checkpoint:here", {"weights": "2"})
    assert recall(tmp_path, "checkpoint:here") == {"weights": "2"}
