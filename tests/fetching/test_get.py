"""Sets by name, through the real command line, from a hub and from plain addresses."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest

from fakes.fake_hub import COMMIT, publish
from fakes.fault_server import Site
from fakes.vlm4bio import write_vlm4bio
from syntype.data.load import parse_spec
from syntype.errors import DataError, ResourceError, UsageError
from syntype.fetching.archives import unpack
from syntype.fetching.sources import SOURCES, find


def syntype(*arguments, endpoint="http://127.0.0.1:9", **environment):
    """The command line with a hub of its own; nothing is answered at the default's port."""
    return subprocess.run(
        [sys.executable, "-m", "syntype", *map(str, arguments)],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HUB_OFFLINE": "0"} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def get(*arguments, **options):
    return syntype("data", "get", *arguments, **options)


FILES = {"metadata/catalog.csv": b"a,b\n", "images/1.jpg": b"x" * 5000, "README.md": b"hello"}


def test_a_set_of_the_hub_comes_at_one_commit_with_its_licence(tmp_path):
    site = Site({})
    publish(site, "lab/fish", FILES, large=["images/1.jpg"])
    place = f"/datasets/lab/fish/resolve/{COMMIT}/images/1.jpg"
    site.faults[place] = ["cut", "corrupt"]
    with site.running() as address:
        done = get("hub:lab/fish", "--to", tmp_path, endpoint=address)
        assert done.returncode == 0, done.stderr
        folder = tmp_path / "lab--fish"
        assert done.stdout.strip().endswith(str(folder))
        for path, content in FILES.items():
            assert (folder / path).read_bytes() == content
        source = json.loads((folder / ".fetch" / "source.json").read_text())
        assert (source["revision"], source["license"]) == (COMMIT, "cc0-1.0")
        asked = len([1 for path, _, _ in site.asked if "/resolve/" in path])
        again = get("hub:lab/fish@main", "--to", tmp_path, endpoint=address)
        assert "3 files are in" in again.stderr
        assert "0 of them new" in again.stderr
        assert len([1 for path, _, _ in site.asked if "/resolve/" in path]) == asked


def test_only_what_matches_is_fetched(tmp_path):
    site = Site({})
    publish(site, "lab/fish", FILES)
    with site.running() as address:
        done = get("hub:lab/fish", "--only", "metadata/*", "--to", tmp_path, endpoint=address)
        assert done.returncode == 0, done.stderr
        wrong = get("hub:lab/fish", "--only", "pictures/*", "--to", tmp_path, endpoint=address)
    files = [path for path in (tmp_path / "lab--fish").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"catalog.csv", "files.jsonl", "source.json", "lock"}
    assert wrong.returncode == 2
    assert "No file of lab/fish matches 'pictures/*'" in wrong.stderr


def test_a_dry_run_fetches_nothing(tmp_path):
    site = Site({})
    publish(site, "lab/fish", FILES)
    with site.running() as address:
        done = get("hub:lab/fish", "--to", tmp_path, "--dry-run", endpoint=address)
    for part in ("3, 0 of them here", "cc0-1.0", COMMIT):
        assert part in done.stdout
    assert not list(tmp_path.iterdir())
    assert not [path for path, _, _ in site.asked if "/resolve/" in path]


def test_a_token_reaches_the_hub_and_no_disk(tmp_path):
    site = Site({})
    publish(site, "lab/fish", FILES)
    with site.running() as address:
        get("hub:lab/fish", "--to", tmp_path, endpoint=address, HF_TOKEN="hf_secret")
    given = {
        token for (path, _, _), token in zip(site.asked, site.tokens, strict=True)
        if "lab/fish" in path
    }  # fmt: skip
    assert given == {"Bearer hf_secret"}
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"hf_secret" in p.read_bytes()]


def test_what_the_hub_does_not_have_is_said(tmp_path):
    with Site({}, unknown={"X-Error-Code": "RepoNotFound"}).running() as address:
        done = get("hub:lab/none", "--to", tmp_path, endpoint=address)
    assert done.returncode == 3
    assert "no dataset lab/none" in done.stderr
    done = get("hub:lab/none", "--to", tmp_path)  # nobody there
    assert done.returncode == 7
    assert "HF_ENDPOINT" in done.stderr
    done = get("hub:lab/none", "--to", tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 7
    assert "HF_HUB_OFFLINE is set" in done.stderr


def test_vlm4bio_comes_and_is_read(tmp_path):
    """The whole way: from a hub to a set that can be used."""
    write_vlm4bio(tmp_path / "published")
    root = tmp_path / "published"
    files = {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*") if path.is_file()
    }  # fmt: skip
    if not any(path.startswith("datasets/") for path in files):
        files = {f"datasets/{path}": content for path, content in files.items()}
    site = Site({})
    publish(site, "imageomics/VLM4Bio", files)
    with site.running() as address:
        done = get("vlm4bio", "--to", tmp_path / "data", "--quiet", endpoint=address)
    assert done.returncode == 0, done.stderr
    spec = done.stdout.strip()
    info = syntype("data", "info", "--data", spec, "--workspace", tmp_path / "runs", "--quiet")
    assert info.returncode == 0, info.stderr


def archive_of(kind, files):
    content = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(content, "w") as zipped:
            for path, data in files.items():
                zipped.writestr(path, data)
        return content.getvalue()
    with tarfile.open(fileobj=content, mode="w:gz" if kind == "tgz" else "w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
def test_an_address_comes_and_is_unpacked_once(tmp_path, kind):
    site = Site({f"/set.{kind}": archive_of(kind, {"photos/a/1.jpg": b"1", "labels.csv": b"2"})})
    with site.running() as address:
        for _ in range(2):
            done = get(f"{address}/set.{kind}?token=1", "--unpack", "--to", tmp_path)
            assert done.returncode == 0, done.stderr
    assert (tmp_path / "set" / "photos" / "a" / "1.jpg").read_bytes() == b"1"
    assert (tmp_path / "set" / "labels.csv").read_bytes() == b"2"
    assert "unpack" not in done.stderr  # the second time
    assert not list((tmp_path / "set").glob(".unpacking*"))


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("path", ["../evil", "/tmp/evil"])
def test_an_archive_never_writes_outside_of_its_folder(tmp_path, kind, path):
    (tmp_path / "set").mkdir()
    archive = tmp_path / "set" / f"x.{kind}"
    archive.write_bytes(archive_of(kind, {"good": b"1", path: b"2"}))
    if kind == "tar" and path.startswith("/"):
        unpack(archive)  # tar's rule: the root is taken off
        assert (tmp_path / "set" / "tmp" / "evil").exists()
    else:
        with pytest.raises(DataError, match="cannot be unpacked"):
            unpack(archive)
        assert [one.name for one in (tmp_path / "set").iterdir() if one.name != ".fetch"] == [
            archive.name
        ]
    assert not (tmp_path / "evil").exists()


def test_a_broken_archive_and_a_full_disk_are_said(tmp_path, monkeypatch):
    archive = tmp_path / "x.tar.gz"
    archive.write_bytes(archive_of("tgz", {"a": b"1" * 100_000})[:80])
    with pytest.raises(DataError, match=r"x\.tar\.gz cannot be unpacked.*fetch it again"):
        unpack(archive)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("", (), {"free": 1})())
    with pytest.raises(ResourceError, match="Make room"):
        unpack(archive)


def test_folders_that_archives_share_are_joined(tmp_path):
    for n in range(2):
        (tmp_path / f"{n}.zip").write_bytes(archive_of("zip", {f"photos/{n}.jpg": b"x"}))
        assert unpack(tmp_path / f"{n}.zip")
    assert len(list((tmp_path / "photos").iterdir())) == 2


@pytest.mark.parametrize("name", [one.name for one in SOURCES.values() if not one.by_hand])
def test_every_set_that_can_be_fetched_is_whole(name):
    source = SOURCES[name]
    assert source.license
    assert source.citation
    assert source.hub or source.parts
    for part, urls in source.parts.items() if not source.hub else ():
        found = find(f"{name}#{part}")
        assert [one.url for one in found.files] == list(urls)
        assert all(one.digest for one in found.files)
    if source.reader:
        assert parse_spec(source.reader.format("x"))[1] == name


@pytest.mark.parametrize("name", [one.name for one in SOURCES.values() if one.by_hand])
def test_a_set_with_a_form_says_how_to_get_it(name):
    source = SOURCES[name]
    with pytest.raises(UsageError, match=re.escape(source.page)):
        find(name)


@pytest.mark.parametrize(
    ("spec", "message"),
    [("fish", "no set 'fish'"), ("inat21#tiny", "no part 'tiny'"), ("ftp://x/y", "no set")],
)
def test_names_that_are_none_are_refused(spec, message):
    with pytest.raises(UsageError, match=message):
        find(spec)
