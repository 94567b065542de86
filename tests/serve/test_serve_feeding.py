"""The process that fills an index beside the server: it ends, fails, is killed, starts again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from fakes.pictures import write_picture
from syntype.cli import main
from syntype.configs import IndexConfig, Workplace
from syntype.errors import IncompleteError
from syntype.search.opening import open_index
from syntype.serve import feeding
from syntype.serve.feeding import Feed, start_feed

PATIENCE = 90.0


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-S", "-c", code, *map(str, arguments)]


def is_running(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize("stubborn", [False, True])
def test_the_process_ends_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: bool
) -> None:
    monkeypatch.setattr(feeding, "_PATIENCE", 0.3)
    code = (
        "import os, pathlib, signal, sys, time\n"
        "if sys.argv[2] == 'True': signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "path.with_suffix('.part').write_text(str(os.getpid()))\n"
        "path.with_suffix('.part').rename(path)\n"
        "time.sleep(300)\n"
    )
    feed = Feed(python(code, tmp_path / "pid", stubborn), str(tmp_path / "index"), 0.0)
    until((tmp_path / "pid").exists)
    number = int((tmp_path / "pid").read_text())
    assert is_running(number)
    feed.stop()
    assert not is_running(number)
    feed.stop()


def test_one_that_fails_before_there_is_an_index_says_so(tmp_path: Path) -> None:
    feed = Feed(python("raise SystemExit(3)"), str(tmp_path / "index"), 0.0)
    with pytest.raises(IncompleteError, match=r"There is no index at .* yet"):
        feed.wait_for_index()
    feed.stop()


def test_it_is_started_anew_as_often_as_it_is_watched(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1], 'a').write('x'); sys.exit(len(open(sys.argv[1]).read()))"
    told = tmp_path / "told"
    once = Feed(python(code, tmp_path / "once"), str(tmp_path / "index"), 0.0)
    often = Feed(python(code, told), str(tmp_path / "index"), 0.01)
    until(lambda: told.exists() and len(told.read_text()) >= 4)  # it failed three times
    often.stop()
    n = len(told.read_text())
    once._thread.join(PATIENCE)
    assert (tmp_path / "once").read_text() == "x"
    assert len(told.read_text()) == n, "stopped, it starts no more"


CONFIG = IndexConfig(encoder="pixels", engine="exact", prune=True, license="CC0 <x>", limit=7)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], str]]:
    """The command that fills an index, and its location."""
    monkeypatch.setattr(Feed, "_work", lambda self: None)

    def make(source: str, location: str, config: IndexConfig, place: Workplace) -> Any:
        feed = start_feed(source, location, 0.0, config, place)
        return feed._command, feed.location

    return make


@pytest.mark.parametrize("config", [IndexConfig(), CONFIG])
def test_it_is_told_what_the_server_was_told(
    command: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, config: IndexConfig
) -> None:
    place = Workplace(workspace=tmp_path / "a b", workers=3, quiet=True, device="cpu")
    words, location = command("gbif:Puma concolor", str(tmp_path / "index"), config, place)
    assert words[:3] == [sys.executable, "-m", "syntype"]
    told: list[Any] = []
    monkeypatch.setattr(
        "syntype.search.indexing.index_source", lambda *given: told.extend(given[:4]) or 1 / 0
    )
    with pytest.raises((SystemExit, ZeroDivisionError)):
        main([*words[3:]])
    assert told[:3] == ["gbif:Puma concolor", location, config]
    for field in fields(Workplace):
        assert getattr(told[3], field.name) == getattr(place, field.name)


def test_an_index_that_is_not_named_lies_below_the_workspace(
    command: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Workplace(workspace=tmp_path / "work")
    (tmp_path / "fish").mkdir()
    monkeypatch.chdir(tmp_path)
    found = [command(one, "", CONFIG, place)[1] for one in ("fish", "./fish", f"{tmp_path}/fish/")]
    assert len(set(found)) == 1, "however the folder is written"
    assert Path(found[0]).parent == tmp_path / "work" / "index"
    others = [command(one, "", CONFIG, place)[1] for one in ("gbif:a", "gbif:b", "synthetic:tiny")]
    assert len({found[0], *others}) == 4


# The real thing.


@contextmanager
def serving(source: str, folder: Path, *options: str, **more: str) -> Iterator[tuple[Any, int]]:
    """`syntype serve` in a process of its own, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "syntype", "serve", source, "--port", str(port), *options,
               "--workspace", str(folder / "work"), "--device", "cpu"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, env={**os.environ, **more})
    try:
        yield process, port
    finally:
        for number in (*children(process.pid), process.pid):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        process.wait()


def children(number: int) -> list[int]:
    """Processes that a process started, of all its threads."""
    found = list[int]()
    for path in Path(f"/proc/{number}/task").glob("*/children"):
        try:
            found += map(int, path.read_text().split())
        except OSError:
            continue
    return found


def ask(port: int, path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=20) as reply:
            return json.load(reply)
    except OSError:
        return None


def n_records(port: int) -> int:
    return (ask(port, "health") or {"records": -1})["records"]


@pytest.mark.slow
def test_new_pictures_come_into_a_running_server_and_kills_of_the_feed_lose_nothing(
    tmp_path: Path,
) -> None:
    home, index = tmp_path / "fish", tmp_path / "index"
    for number in range(12):
        write_picture(home / f"Salmo specie{number % 3}s" / f"{number}.jpg", f"{number}", side=40)
    options = ("--to", str(index), "--watch", "0.5", "--encoder", "pixels", "--engine", "exact")
    seen = list[int]()
    with serving(str(home), tmp_path, *options) as (process, port):

        def there_are(n: int) -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            if (now := n_records(port)) >= 0:
                seen.append(now)
            elif seen:
                raise AssertionError("it answers all the time")
            return now == n

        until(lambda: there_are(12))
        until(lambda: children(process.pid))
        for number in children(process.pid):
            os.kill(number, signal.SIGKILL)
        assert there_are(12)
        write_picture(home / "Salmo nova" / "new.jpg", "new", side=40)
        until(lambda: there_are(13))
        (found,) = ask(port, "search?genus=Salmo&species=Salmo%20nova")["records"]
        assert found["id"] == "fish/Salmo nova/new.jpg"
        thumbnail = f"http://127.0.0.1:{port}{found['record']['media']['thumbnail']}"
        with urllib.request.urlopen(thumbnail, timeout=20) as reply:
            assert reply.read(2) == b"\xff\xd8"
        until(lambda: children(process.pid))
        fed = children(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, (tmp_path / "log").read_text()
        until(lambda: not any(map(is_running, fed)), 10)
    assert seen == sorted(seen), "what was acknowledged was never lost"
    with closing(open_index(str(index))) as opened:
        assert len(opened) == 13


def test_told_to_end_while_there_is_no_index_yet_it_ends_with_its_process(tmp_path: Path) -> None:
    with socket.socket() as silent:  # a service that never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        given = {"SYNTYPE_GBIF_API": address}
        with serving("gbif:country=US", tmp_path, **given) as (process, _):
            silent.settimeout(PATIENCE)
            connection, _ = silent.accept()
            fed = children(process.pid)
            assert fed
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 128 + signal.SIGTERM
            until(lambda: not any(map(is_running, fed)), 10)
            connection.close()
