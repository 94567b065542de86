"""From pictures to a search page through the real command line."""

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.ugly_pictures import jpeg
from syntype import errors
from syntype.cli import main
from syntype.files import folder_bytes

NAMES = ("Danaus plexippus", "Esox lucius", "Parus major", "Vanessa atalanta")
N_IMAGES = 8
N = len(NAMES) * N_IMAGES
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures, and an index of them that the real command made."""
    folder = tmp_path_factory.mktemp("search")
    for kind, name in enumerate(NAMES):
        (folder / "fish" / name).mkdir(parents=True)
        for number in range(N_IMAGES):
            content = jpeg(48, 40, seed=100 * kind + number)
            (folder / "fish" / name / f"{number:03d}.jpg").write_bytes(content)
    (folder / "fish" / "broken.jpg").write_bytes(b"")
    words = ["index", str(folder / "fish"), "--to", str(folder / "index"), "--encoder", "pixels",
             "--license", "CC0-1.0", "--workspace", str(folder / "work")]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "syntype", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder / 'index'}\n", "what a script goes on with, and nothing else"
    for part in (f"{N} new", "1 were left out", "left_out.csv"):
        assert part in " ".join(done.stderr.split()), done.stderr
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def do(*arguments: object) -> tuple[int, str, str]:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return do


@pytest.fixture
def index(home: Path, tmp_path: Path) -> Path:
    """A copy of the index that may be changed; its pictures are where they were."""
    shutil.copytree(home / "fish", tmp_path / "fish")
    return Path(shutil.copytree(home / "index", tmp_path / "index"))


def test_a_picture_finds_itself_in_a_table_and_as_json(home: Path, run: Run) -> None:
    name = NAMES[1]
    picture = home / "fish" / name / "003.jpg"
    code, out, err = run("search", home / "index", "--image", picture, "--json", "--n", "5")
    assert code == 0, err
    reply = json.loads(out)
    assert reply["total"] == N
    assert len(reply["records"]) == 5
    best = reply["records"][0]
    assert best["id"] == f"fish/{name}/003.jpg"
    assert best["similarity"] == pytest.approx(1, abs=1e-3)
    assert best["record"]["license"] == "CC0-1.0"
    assert best["record"]["scientificName"] == NAMES[1]
    code, out, err = run("search", home / "index", "--like", best["id"], "--n", "5")
    assert code == 0, err
    assert any(name in out for name in NAMES)


def test_conditions_are_options(home: Path, run: Run) -> None:
    genus = NAMES[0].split()[0]
    code, out, err = run("search", home / "index", "--genus", genus, "--json")
    assert code == 0, err
    reply = json.loads(out)
    assert {found["record"]["genus"] for found in reply["records"]} == {genus}
    assert reply["total"] == N_IMAGES
    assert {found["similarity"] for found in reply["records"]} == {None}, "it only browses"


def test_the_check_shows_what_is_found(home: Path, run: Run) -> None:
    code, out, err = run("index", "--to", home / "index", "--check")
    assert code == 0, err
    assert "recall@10" in out + err
    assert re.search(rf"none\W+{N}\W+1\.000", out + err)


def test_deleting_and_compacting(index: Path, run: Run) -> None:
    ids = [f"fish/{NAMES[0]}/{n:03d}.jpg" for n in range(4)]
    code, out, err = run("index", "--to", index, "--delete", *ids, "--delete", "nobody")
    assert code == 0, err
    assert "4 of 5 records were deleted." in err
    before = folder_bytes(index)
    code, out, err = run("index", "--to", index, "--compact", "--check")
    assert code == 0, err
    assert folder_bytes(index) < before
    _, out, _ = run("search", index, "--json")
    assert json.loads(out)["total"] == N - 4
    code, out, err = run("index", index.parent / "fish", "--to", index, "--license", "CC0-1.0")
    assert code == 0, err
    assert f"4 new, {N - 4} unchanged" in err, "they are in the source still, so they come back"


def test_new_pictures_come_and_gone_ones_go_when_asked(index: Path, run: Run) -> None:
    fish = index.parent / "fish"
    (fish / "new.jpg").write_bytes(jpeg(50, 40, seed=99))
    next(fish.glob("*/000.jpg")).unlink()
    words = ("index", fish, "--to", index, "--license", "CC0-1.0")
    code, _, err = run(*words)
    assert code == 0, err
    assert f"1 new, {N - 1} unchanged" in err
    assert "1 records are not in the source any more; --prune" in err
    code, _, err = run(*words, "--prune", "--quiet")
    assert code == 0, err
    _, out, _ = run("search", index, "--json")
    assert json.loads(out)["total"] == N


def test_what_is_wrong_is_one_line_with_its_code(home: Path, run: Run, tmp_path: Path) -> None:
    wrong = [
        (("index",), errors.UsageError, "--to INDEX"),
        (("index", "--to", home / "index"), errors.UsageError, "--check, --compact or --delete"),
        (("index", "--to", tmp_path / "no", "--check"), errors.DataNotFoundError, "syntype index"),
        (("index", tmp_path / "no", "--to", tmp_path / "i"), errors.DataNotFoundError, "no"),
        (("index", home / "fish", "--to", home / "fish"), errors.DataError, "something already"),
        (("search", tmp_path, "--like", "x"), errors.DataNotFoundError, "no index"),
    ]
    for arguments, error, words in wrong:
        code, _, err = run(*arguments)
        lines = [line for line in err.splitlines() if line.startswith("syntype:")]
        assert (code, len(lines)) == (error.exit_code, 1), (arguments, err)
        assert words in " ".join(err.split()), err


# The server.


@pytest.fixture(scope="module")
def port(home: Path) -> Iterator[int]:
    """`syntype serve INDEX` in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    command = [sys.executable, "-m", "syntype", "serve", str(home / "index"), "--port", str(number),
               "--workspace", str(home / "work"), "--device", "cpu"]  # fmt: skip
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log)
    deadline = time.monotonic() + 90
    while ask(number, "/api/v1/health")[0] != 200:
        assert process.poll() is None, (home / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield number
    process.terminate()
    assert process.wait(30) == 0, (home / "log").read_text()


def ask(port: int, path: str, **fields: str) -> tuple[int, bytes]:
    query = "?" + urllib.parse.urlencode(fields) if fields else ""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}{query}", timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def reply_of(port: int, path: str, **fields: str) -> Any:
    status, content = ask(port, f"/api/v1/{path}", **fields)
    assert status == 200, content
    return json.loads(content)


def test_every_endpoint_answers(port: int) -> None:
    name = NAMES[0]
    id_ = f"fish/{name}/001.jpg"
    assert reply_of(port, "health")["records"] == N
    about = reply_of(port, "about")
    assert about["encoder"]["spec"] == "pixels"
    assert [one["name"] for one in about["sets"]] == ["fish"]
    assert "species" in about["facets"]
    assert about["writes"] is False
    found = reply_of(port, "search", like=id_, n="3")
    assert len(found["records"]) == 3
    assert id_ not in {one["id"] for one in found["records"]} or found["records"][0]["id"] == id_
    record = reply_of(port, "records", id=id_)
    assert record["scientificName"] == name
    status, content = ask(port, "/api/v1/media", id=id_)
    assert (status, content[:2]) == (200, b"\xff\xd8")
    status, content = ask(port, "/api/v1/media/thumbnail", id=id_, size="240")
    assert (status, content[:2]) == (200, b"\xff\xd8")
    facets = reply_of(port, "facets", only="species")
    assert {one["value"]: one["count"] for one in facets["facets"]["species"]}[name] == N_IMAGES
    assert reply_of(port, "taxa", rank="genus")["taxa"]
    assert reply_of(port, "map", degrees="5") == {"degrees": 5, "cells": []}
    assert reply_of(port, "timeline") == {"years": []}
    genus = name.split()[0]
    suggested = reply_of(port, "suggest", q=genus[:3].lower())["suggestions"]
    assert {"rank": "genus", "name": genus, "count": N_IMAGES} in suggested
    for path in ("/", "/metrics", "/api/openapi.json", "/api/docs"):
        assert ask(port, path)[0] == 200, path
    assert ask(port, "/api/v1/records", id="nobody")[0] == 404


def test_a_picture_is_searched_by_upload(port: int, home: Path) -> None:
    name = NAMES[2]
    content = (home / "fish" / name / "004.jpg").read_bytes()
    head = '--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/search",
        head.encode() + content + b"\r\n--x--\r\n",
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with urllib.request.urlopen(asked, timeout=30) as reply:
        assert json.load(reply)["records"][0]["id"] == f"fish/{name}/004.jpg"


def test_it_only_reads_without_a_key(port: int) -> None:
    for method in ("DELETE", "POST", "PUT"):
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/records?id=x", b"" if method != "DELETE" else None,
            method=method,
        )  # fmt: skip
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(asked, timeout=30)
        with caught.value as error:
            assert error.code in (401, 403, 405)


def test_what_another_process_indexes_appears_while_it_serves(
    port: int, home: Path, run: Run
) -> None:
    extra = home / "fish" / "late.jpg"
    extra.write_bytes(jpeg(50, 40, seed=123))
    words = ("index", home / "fish", "--to", home / "index", "--license", "CC0-1.0", "--quiet")
    try:
        assert run(*words)[0] == 0
        deadline = time.monotonic() + 30
        while reply_of(port, "health")["records"] != N + 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run("index", "--to", home / "index", "--compact")
        assert reply_of(port, "records", id="fish/late.jpg")["id"] == "fish/late.jpg"
    finally:
        extra.unlink()
        run(*words, "--prune")
    while reply_of(port, "health")["records"] != N:
        assert time.monotonic() < deadline + 30
        time.sleep(0.05)
