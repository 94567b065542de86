"""The members of archives, found without unpacking; and the tar that a .tar.gz holds."""

import gzip
import io
import os
import shutil
import struct
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syntype.data.archive_index import Index, index, index_all
from syntype.data.inflating import inflate, inflated_path
from syntype.data.locator import Locator, forget, read
from syntype.errors import DataError, DataNotFoundError, ResourceError

LONG = "folder/" + "x" * 180 + ".jpg"


def contents(found: Index) -> dict[str, bytes]:
    """Every member read through its place."""
    root, path = found.archive.parent, found.archive.name
    forget(found.archive)
    return {
        row["name"]: read(root, Locator(path, row["store"], row["offset"], row["length"]))
        for row in found.members.to_pylist()
    }


def tar_of(path: Path, members: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_of_every_kind_of_tar(form: int, tmp_path: Path) -> None:
    members = {"a.jpg": b"a" * 700, "d/empty.jpg": b"", "d/ü.jpg": b"u" * 512}
    if form != tarfile.USTAR_FORMAT:
        members[LONG] = b"long"
        members["y" * 300 + ".jpg"] = b"longer"
    found = index(tar_of(tmp_path / "a.tar", members, form))
    assert contents(found) == members
    assert found.broken == ""
    assert found.left_out == []


def test_a_ustar_name_is_joined_from_its_two_fields(tmp_path: Path) -> None:
    name = "f" * 120 + "/" + "g" * 90 + ".jpg"
    found = index(tar_of(tmp_path / "a.tar", {name: b"x"}, tarfile.USTAR_FORMAT))
    assert contents(found) == {name: b"x"}


names = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=130
).filter(lambda name: name.strip(".") and not name.startswith("._") and "MACOSX" not in name)


@settings(max_examples=30, deadline=None)
@given(
    members=st.dictionaries(names, st.binary(max_size=1500), max_size=6),
    form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
)
def test_the_same_members_as_tarfile_finds(
    members: dict[str, bytes], form: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tar_of(tmp_path_factory.mktemp("t") / "a.tar", members, form)
    with tarfile.open(path) as tar:
        naive = [(m.name, m.offset_data, m.size) for m in tar if m.isreg()]
    rows = index(path).members.to_pylist()
    assert [(row["name"], row["offset"], row["length"]) for row in rows] == naive


def test_links_lead_to_their_members_and_others_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind, target in (
            ("d", tarfile.DIRTYPE, ""),
            ("d/early", tarfile.SYMTYPE, "../b.jpg"),
            ("b.jpg", tarfile.REGTYPE, ""),
            ("hard", tarfile.LNKTYPE, "b.jpg"),
            ("lost", tarfile.SYMTYPE, "nowhere.jpg"),
            ("pipe", tarfile.FIFOTYPE, ""),
            ("d/._b.jpg", tarfile.REGTYPE, ""),
        ):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            entry.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(entry, io.BytesIO(b"abc"))
    found = index(path)
    assert contents(found) == {"b.jpg": b"abc", "d/early": b"abc", "hard": b"abc"}
    assert dict(found.left_out) == {
        "lost": "a link that leads to no member",
        "pipe": "no file: a device or a pipe",
        "d/._b.jpg": "AppleDouble, no picture",
    }


def test_sparse_files_are_told_and_do_not_hide_what_follows(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    sparse = tarfile.TarInfo("sparse.bin")
    sparse.type, sparse.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    header[482] = 1  # one more block of places follows
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    plain = tarfile.TarInfo("plain.jpg")
    plain.size = 3
    pax = tarfile.TarInfo("new.bin")
    pax.pax_headers, pax.size = {"GNU.sparse.major": "1", "GNU.sparse.name": "real.bin"}, 512
    path.write_bytes(
        bytes(header) + bytes(512) + bytes(512)
        + plain.tobuf() + b"abc" + bytes(509)
        + pax.tobuf(tarfile.PAX_FORMAT) + bytes(512) + bytes(1024)
    )  # fmt: skip
    found = index(path)
    assert contents(found) == {"plain.jpg": b"abc"}
    reason = "a sparse file, which cannot be read in place"
    assert dict(found.left_out) == {"sparse.bin": reason, "real.bin": reason}


def test_sizes_in_binary_are_understood(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("a.jpg")
    entry.size = 5
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\x80" + (5).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(header) + b"hello" + bytes(507) + bytes(1024))
    assert contents(index(path)) == {"a.jpg": b"hello"}


def test_a_cut_tar_keeps_what_lies_before_the_cut(tmp_path: Path) -> None:
    members = {f"{n}.jpg": bytes([n]) * 600 for n in range(4)}
    whole = tar_of(tmp_path / "a.tar", members, tarfile.USTAR_FORMAT).read_bytes()
    for size, n_kept, words in (
        (2 * 1536 + 700, 2, "it ends within 2.jpg; the last good member is 1.jpg"),
        (2 * 1536, 2, "it ends without its end mark; the last good member is 1.jpg"),
        (3 * 1536 + 100, 3, "it ends without its end mark; the last good member is 2.jpg"),
        (100, 0, "it ends without its end mark; no member is before that"),
    ):
        path = tmp_path / f"{size}.tar"
        path.write_bytes(whole[:size])
        found = index(path)
        assert found.broken == words
        assert contents(found) == dict(list(members.items())[:n_kept])


def test_garbage_in_a_tar_is_told(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {"a.jpg": b"a", "b.jpg": b"b"}, tarfile.USTAR_FORMAT)
    content = bytearray(path.read_bytes())
    content[1024:1536] = os.urandom(512)
    path.write_bytes(content)
    found = index(path)
    assert contents(found) == {"a.jpg": b"a"}
    assert "no header where one should be" in found.broken


@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh\nexit\n"])
def test_members_of_a_zip(prefix: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = b"PK\5 a comment"
        archive.writestr("d/", b"")
        archive.writestr("d/stored.jpg", b"s" * 40, zipfile.ZIP_STORED)
        archive.writestr("d/ü.jpg", b"d" * 4000, zipfile.ZIP_DEFLATED)
        archive.writestr("old.jpg", b"o" * 4000, zipfile.ZIP_BZIP2)
        link = zipfile.ZipInfo("link.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "d/stored.jpg")
        archive.writestr("__MACOSX/d/._stored.jpg", b"x")
    path.write_bytes(prefix + path.read_bytes())
    found = index(path)
    assert contents(found) == {"d/stored.jpg": b"s" * 40, "d/ü.jpg": b"d" * 4000}
    assert found.broken == ""
    assert dict(found.left_out) == {
        "old.jpg": "compressed by method 12, which is not read in place",
        "link.jpg": "a link",
        "__MACOSX/d/._stored.jpg": "AppleDouble, no picture",
    }


def test_a_zip64_is_read(tmp_path: Path) -> None:
    """Places and sizes as archives beyond 4 GB and 65,535 members write them."""
    name, content = b"a.jpg", b"hello"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, 0, 2**32 - 1, 2**32 - 1, 5, 20)
    local += name + struct.pack("<2H2Q", 1, 16, 5, 5) + content
    extra = struct.pack("<2H3Q", 1, 24, 5, 5, 0)
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 45, 45, 0, 0, 0, 0, 0, 2**32 - 1, 2**32 - 1, 5, len(extra),
        0, 0xFFFF, 0, 0, 2**32 - 1,
    )  # fmt: skip
    entry += name + extra
    begin = len(local)
    end64 = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), begin
    )  # fmt: skip
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, begin + len(entry), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0)
    path = tmp_path / "a.zip"
    path.write_bytes(local + entry + end64 + locator + end)
    assert contents(index(path)) == {"a.jpg": b"hello"}


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"x" * 40)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="is encrypted"):
        index(path)


def test_a_cut_zip_keeps_what_lies_before_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(4):
            archive.writestr(f"{n}.jpg", bytes([n]) * 600)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"3.jpg") + 8])
    found = index(path)
    assert found.broken == "it ends without its directory; the last good member is 2.jpg"
    assert contents(found) == {f"{n}.jpg": bytes([n]) * 600 for n in range(3)}
    path.write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="is no zip"):
        index(path)


def test_rows_of_pictures_in_parquet(tmp_path: Path) -> None:
    rows = [{"bytes": bytes([n]) * 9, "path": f"{n}.jpg"} for n in range(5)]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": rows, "label": range(5)}), path, row_group_size=2)
    assert contents(index(path)) == {row["path"]: row["bytes"] for row in rows}
    plain = tmp_path / "b.parquet"
    pq.write_table(pa.table({"x": [b"p", b"q"], "y": [b"r", b"s"]}), plain)
    assert contents(index(plain, column="y")) == {"0": b"r", "1": b"s"}
    with pytest.raises(DataError, match="no column of pictures; its columns are x, y"):
        index(plain)
    with pytest.raises(DataError, match="no column of pictures 'z'"):
        index(plain, column="z")
    plain.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        index(plain)


def test_an_index_is_made_once_and_anew_for_another_archive(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", {"a.jpg": b"a"})
    work = tmp_path / "work"
    first = index(path, work=work)
    made = first.path.stat().st_mtime_ns
    assert index(path, work=work).path.stat().st_mtime_ns == made
    assert not (tmp_path / "a.tar.index.parquet").exists()
    tar_of(path, {"b.jpg": b"b"})
    os.utime(path, ns=(1, 1))
    assert contents(index(path, work=work)) == {"b.jpg": b"b"}
    first.path.write_bytes(b"damaged")
    assert contents(index(path, work=work)) == {"b.jpg": b"b"}


def test_archives_of_one_name_have_indices_of_their_own(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        tar_of(tmp_path / folder / "a.tar", {f"{folder}.jpg": b"a"})
    paths = [tmp_path / "x/a.tar", tmp_path / "y/a.tar"]
    found = list(index_all(paths, work=tmp_path / "work", workers=2))
    assert [one.members["name"].to_pylist() for one in found] == [["x.jpg"], ["y.jpg"]]


def test_what_cannot_be_indexed_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match="no archive"):
        index(tmp_path / "a.tar")
    (tmp_path / "a.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="syntype data inflate"):
        index(tmp_path / "a.tar.gz")
    (tmp_path / "a.rar").write_bytes(b"")
    with pytest.raises(DataError, match="ends with none of"):
        index(tmp_path / "a.rar")


def gz_of(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content))
    return path


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "A.TAR.GZ"])
def test_a_tar_gz_is_inflated_beside_itself_once(name: str, tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "whole.tar", {"a.jpg": os.urandom(9000)}).read_bytes()
    path = gz_of(tmp_path / name, tar)
    out = inflate(path)
    assert out == inflated_path(path)
    assert out.suffix == ".tar"
    assert out.read_bytes() == tar
    assert path.exists()
    made = out.stat().st_mtime_ns
    assert inflate(path, remove=True) == out
    assert out.stat().st_mtime_ns == made
    assert not path.exists()
    assert inflate(path) == out


def test_gzip_of_several_parts_is_inflated(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(b"one") + gzip.compress(b"two"))
    assert inflate(path).read_bytes() == b"onetwo"


def test_a_damaged_tar_gz_leaves_nothing_and_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(os.urandom(9000))
    for name, content in (
        ("cut", whole[:5000]),
        ("changed", whole[:4000] + b"\xff" * 40 + whole[4040:]),
        ("page", b"<html>not found</html>"),
    ):
        path = tmp_path / f"{name}.tar.gz"
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"is damaged at about byte [\d,]+ of .*again"):
            inflate(path)
        assert not inflated_path(path).exists()
        assert path.exists()
    assert not list(tmp_path.glob(".*"))


def test_inflating_asks_for_room_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gz_of(tmp_path / "a.tar.gz", b"x")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 0))
    with pytest.raises(ResourceError, match="needs about"):
        inflate(path)
    assert not inflated_path(path).exists()


def test_other_archives_are_not_inflated(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no \.tar\.gz"):
        inflate(tmp_path / "a.zip")
    with pytest.raises(DataNotFoundError, match="no archive"):
        inflate(tmp_path / "a.tgz")
