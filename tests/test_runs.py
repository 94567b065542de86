import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from syntype.errors import ResourceError
from syntype.runs import Run


def test_equal_configs_share_a_folder_and_different_ones_do_not(tmp_path: Path) -> None:
    a = Run.at(tmp_path, "cluster", {"k": 3, "seed": 0})
    assert a.folder == Run.at(tmp_path, "cluster", {"seed": 0, "k": 3}).folder
    assert a.folder != Run.at(tmp_path, "cluster", {"k": 4, "seed": 0}).folder
    assert a.key == a.folder.name


def test_a_run_is_finished_exactly_when_its_record_is_there(tmp_path: Path) -> None:
    run = Run.at(tmp_path, "cluster", {"k": 3})
    assert not run.finished
    with pytest.raises(ResourceError, match="not finished"):
        _ = run.record
    with run.working():
        run.log("started", n=2)
        assert not run.finished
        run.finish(score=0.5)
    assert Run.at(tmp_path, "cluster", {"k": 3}).finished
    assert run.record == {"score": 0.5}
    assert "host" in run.provenance
    assert (run.folder / "config.json").read_text().strip().startswith("{")
    assert '"event": "started"' in (run.folder / "log.jsonl").read_text()


def test_records_of_equal_runs_are_equal_bytes(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        run = Run.at(tmp_path / name, "cluster", {"k": 3})
        with run.working():
            run.finish(score=0.25, names=["b", "a"])
        texts.append((run.folder / "record.json").read_bytes())
    assert texts[0] == texts[1]


def test_a_second_process_waits_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    code = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from syntype.runs import Run
        run = Run.at(Path({str(tmp_path)!r}), "embed", {{"a": 1}})
        with run.working():
            run.path("held").touch()
            time.sleep(600)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    run = Run.at(tmp_path, "embed", {"a": 1})
    while not run.path("held").exists():
        time.sleep(0.02)
    waits = code.replace('"held"', '"entered"').replace("time.sleep(600)", "pass")
    waiter = subprocess.Popen([sys.executable, "-c", waits])
    time.sleep(0.6)
    assert not run.path("entered").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert waiter.wait(timeout=60) == 0
    assert run.path("entered").exists()
