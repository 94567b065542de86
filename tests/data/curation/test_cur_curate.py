"""Curation from end to end: what goes, why, and that nothing goes without being told."""

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fakes.curated import frame, picture, recoded, write_catalogue
from syntype.configs.curate import CurateConfig
from syntype.data.catalogue import Catalogue
from syntype.data.curation import measuring
from syntype.data.curation.curate import FILE, SPECIES_FILE, TABLE, curate, memory_folder, rows_of
from syntype.data.curation.outcome import Curation
from syntype.data.curation.rules import VERDICTS
from syntype.errors import UsageError


def told(out: Path) -> dict[str, dict]:
    """The rows of curation.parquet by their id, without the set's name."""
    rows = pq.read_table(out / FILE).to_pylist()
    return {row["id"].removeprefix("set/"): row for row in rows}


def kept(out: Path) -> list[str]:
    rows = [one for table in Catalogue.open(out).scan(["id"]) for one in table.to_pylist()]
    return [row["id"].removeprefix("set/") for row in rows]


def adds_up(before: Catalogue, out: Path, done: Curation) -> None:
    """Rows in are rows out and rows told, each once, in the old order."""
    after = Catalogue.open(out)
    ids = [row["id"] for table in before.scan(["id"]) for row in table.to_pylist()]
    rows = pq.read_table(out / FILE)
    assert rows.schema.equals(TABLE)
    assert rows["id"].to_pylist() == ids
    stays = {row["id"] for row in rows.to_pylist() if row["verdict"] == "kept"}
    assert [id_ for id_ in ids if id_ in stays] == [f"set/{id_}" for id_ in kept(out)]
    left = pyarrow.csv.read_csv(out / "left_out.csv").to_pylist()
    assert {row["id"] for row in left} == set(ids) - stays
    assert len(after) + len(left) == len(before) == done.n_in
    assert done.n_out == len(after)
    assert all(row["reason"] for row in left)
    assert after.header.notes["leftOut"]["total"] == len(left)
    assert after.header.notes["curation"] == json.loads(json.dumps(done.as_json()))
    assert after.header.history[-1]["verb"] == "curate"
    for row in rows.to_pylist():
        assert row["verdict"] in VERDICTS
        if row["ofCatalogue"] == 0:
            assert row["ofId"] in ids
            assert row["ofId"] != row["id"]


@pytest.fixture
def run(tmp_path):
    """Curates rows whose pictures are given; a folder and its outcome."""

    def curated(rows, contents, against=(), **options):
        number = len(list(tmp_path.glob("in-*")))
        before = write_catalogue(tmp_path / f"in-{number}", rows, contents)
        out = tmp_path / f"out-{number}"
        done = curate(
            before,
            out,
            CurateConfig(**options),
            workspace=tmp_path / "runs",
            against=against,
            workers=1,
        )
        adds_up(before, out, done)
        return out, done

    return curated


def rows_for(contents, **columns):
    return [{"image": name, "species": "Lota lota", **columns} for name in contents]


def test_pictures_that_are_no_use_go_and_are_told(run):
    whole = picture(1)
    contents = {
        "fine.png": whole,
        "cut.jpg": recoded(picture(2))[:300],
        "empty.jpg": b"",
        "text.jpg": b"<html>404</html>" * 30,
        "thin.png": picture(3, 60, 20),
        "grey.png": frame(120, noise=4),
        "black.png": frame(0),
    }
    rows = [*rows_for(contents), *rows_for(["gone.jpg"])]
    out, done = run(rows, contents, min_side=24)
    verdicts = {name: row["verdict"] for name, row in told(out).items()}
    assert verdicts == {
        "fine.png": "kept",
        "cut.jpg": "broken",
        "empty.jpg": "broken",
        "text.jpg": "broken",
        "thin.png": "small",
        "grey.png": "blank",
        "black.png": "blank",
        "gone.jpg": "broken",
    }
    reasons = {name: row["reason"] for name, row in told(out).items()}
    assert reasons["gone.jpg"] == "broken: no such file"
    assert reasons["cut.jpg"] == "broken: truncated"
    assert done.tail.as_json()["after"]["pictures"] == 1
    (row,) = next(Catalogue.open(out).scan()).to_pylist()
    assert row["imageDigest"] == hashlib.sha256(whole).hexdigest()
    assert (row["pixelXDimension"], row["pixelYDimension"]) == (60, 40)
    assert row["imageLength"] == len(whole)
    again, _ = run(rows, contents, blank=0.0)
    assert {"thin.png", "grey.png", "black.png"} <= set(kept(again))


def test_media_that_are_elsewhere_or_no_pictures_stay(run):
    rows = [
        {"id": "set/a", "image": "", "accessURI": "https://x.example/a.jpg"},
        {"id": "set/b", "image": "song.wav", "mediaType": "Sound"},
        {"id": "set/c", "image": "film.mp4", "format": "video/mp4"},
        {"id": "set/d", "image": "d.png", "mediaType": "StillImage"},
    ]
    out, done = run(rows, {"d.png": picture(1), "song.wav": b"RIFF"}, min_side=30)
    assert kept(out) == ["a", "b", "c", "d"]
    assert (done.n_elsewhere, done.n_other) == (1, 2)


def test_of_copies_the_one_that_matters_most_stays(run):
    one, two, three = picture(1), picture(2), picture(3)
    contents = {
        "a1.png": one, "a2.png": one, "a3.png": one,
        "b1.png": two, "b2.png": two,
        "c2.png": three, "c1.png": three,
    }  # fmt: skip
    rows = [
        {"image": "a1.png", "split": "train"},
        {"image": "a2.png", "split": "val"},
        {"image": "a3.png", "split": "test"},
        {"image": "b1.png", "species": "Lota lota"},
        {"image": "b2.png", "species": "Lota lota", "genus": "Lota"},
        {"image": "c2.png"},
        {"image": "c1.png"},
    ]
    out, _ = run(rows, contents)
    assert kept(out) == ["a3.png", "b2.png", "c1.png"]
    assert told(out)["a1.png"]["ofId"] == "set/a3.png"
    assert told(out)["a1.png"]["bits"] == 0
    assert len(kept(run(rows, contents, copies=False, near=-1)[0])) == 7


def test_near_copies_go_but_not_within_a_unit(run):
    one = picture(1, 240, 180)
    contents = {"a.png": one, "b.jpg": recoded(one, 60), "c.png": picture(2, 240, 180)}
    out, _ = run(rows_for(contents), contents)
    assert kept(out) == ["a.png", "c.png"]
    assert told(out)["b.jpg"]["verdict"] == "near copy"
    assert 0 <= told(out)["b.jpg"]["bits"] <= 20
    assert len(kept(run(rows_for(contents, unit="set/track1"), contents)[0])) == 3
    assert len(kept(run(rows_for(contents), contents, near=-1)[0])) == 3
    # A unit that a split cuts is no excuse: a near copy of a test picture leaves training.
    rows = rows_for(contents, unit="set/track1", split="test")
    rows[0]["split"] = "train"
    assert kept(run(rows, contents)[0]) == ["b.jpg", "c.png"]


def test_larger_pictures_are_kept_before_smaller(run):
    image = Image.open(io.BytesIO(picture(1, 240, 180)))
    buffer = io.BytesIO()
    image.resize((120, 90)).save(buffer, "PNG")
    contents = {"a.png": buffer.getvalue(), "b.png": picture(1, 240, 180)}
    assert kept(run(rows_for(contents), contents)[0]) == ["b.png"]


@pytest.mark.parametrize("near", [False, True])
def test_copies_under_two_species_are_told_and_dropped_if_asked(run, near):
    one = picture(1, 240, 180)
    contents = {"a.png": one, "b.png": recoded(one, 90) if near else one, "c.png": picture(2)}
    rows = rows_for(contents)
    rows[1]["species"] = "Esox lucius"
    out, done = run(rows, contents)
    assert kept(out) == ["a.png", "b.png", "c.png"]
    assert told(out)["a.png"]["mixedWith"] == "set/b.png"
    assert told(out)["b.png"]["mixedWith"] == "set/a.png"
    assert told(out)["c.png"]["mixedWith"] is None
    assert done.n_mixed == 2
    out, done = run(rows, contents, mixed="drop")
    assert kept(out) == ["c.png"]
    assert told(out)["a.png"]["verdict"] == "mixed labels"
    # Across splits it is a leak, whatever the labels.
    rows[0]["split"], rows[1]["split"] = "train", "test"
    assert kept(run(rows, contents)[0]) == ["b.png", "c.png"]


def test_what_is_in_a_test_set_goes(run, tmp_path):
    one, two = picture(1, 240, 180), picture(2, 240, 180)
    other = write_catalogue(
        tmp_path / "other", [{"image": "x.png"}, {"image": "y.png"}], {"x.png": one, "y.png": two}
    )
    contents = {"a.png": one, "b.jpg": recoded(two, 60), "c.png": picture(3, 240, 180)}
    out, _ = run(rows_for(contents, unit="set/u"), contents, against=[other])
    assert kept(out) == ["c.png"]
    rows = told(out)
    assert (rows["a.png"]["verdict"], rows["a.png"]["ofId"]) == ("copy of another set", "set/x.png")
    assert (rows["b.jpg"]["verdict"], rows["b.jpg"]["ofId"]) == (
        "near copy of another set",
        "set/y.png",
    )
    assert rows["b.jpg"]["ofCatalogue"] == 1
    assert kept(run(rows_for(contents), contents, against=[other], against_near=-1)[0]) == [
        "b.jpg",
        "c.png",
    ]


def test_digests_count_where_the_pictures_are_elsewhere(run, tmp_path):
    one = picture(1)
    digest = hashlib.sha256(one).hexdigest()
    rows = [{"image": "a.png"}, {"id": "set/b", "imageDigest": digest}]
    rows.append({"id": "set/c", "imageDigest": "no digest"})
    out, _ = run(rows, {"a.png": one})
    assert kept(out) == ["a.png", "c"]


def test_caps_choose_what_differs_most_within_a_split(run):
    base = picture(1, 240, 180)
    contents = {
        "a.png": base,
        "b.jpg": recoded(base, 90),
        "c.jpg": recoded(base, 50),
        "d.png": picture(2, 240, 180),
        "e.png": picture(3, 240, 180),
    }
    rows = rows_for(contents, unit="set/u")
    out, _ = run(rows, contents, per_unit=3)
    assert kept(out) == ["a.png", "d.png", "e.png"]
    assert told(out)["b.jpg"]["verdict"] == "beyond the cap of its unit"
    for row, species in zip(rows, "AABBB", strict=True):
        row["species"] = species
    assert len(kept(run(rows, contents, per_unit_species=1)[0])) == 2
    rows = rows_for(contents, split="train")
    rows[4]["split"] = "test"
    out, _ = run(rows, contents, per_species=1, near=-1)
    assert len(kept(out)) == 2
    assert "e.png" in kept(out)
    unnamed = [{"image": name} for name in contents]
    assert len(kept(run(unnamed, contents, per_species=1, near=-1)[0])) == 5


def test_bursts_are_capped_where_times_are_known(run):
    contents = {f"{number}.png": picture(number) for number in range(6)}
    times = ["10:00:00", "10:00:04", "10:00:08", "10:01:00", "", "10:00:01"]
    rows = rows_for(contents, recordedBy="trap 7", locality="creek")
    for row, time in zip(rows, times, strict=True):
        row["eventDate"] = f"2020-05-01T{time}" if time else "2020-05-01"
    rows[5]["recordedBy"] = "trap 8"
    out, _ = run(rows, contents, per_burst=1, burst_seconds=5.0)
    assert sorted(kept(out)) == ["0.png", "3.png", "4.png", "5.png"]
    assert told(out)["1.png"]["verdict"] == "beyond the cap of its burst"
    with pytest.raises(UsageError, match="burst-by"):
        run(rows, contents, per_burst=1, burst_seconds=5.0, burst_by="camera")


def test_a_picture_is_read_once_and_a_changed_one_again(run, tmp_path, monkeypatch):
    contents = {f"{number}.png": picture(number) for number in range(5)}
    read = []
    real = measuring.measure
    monkeypatch.setattr(measuring, "measure", lambda content: read.append(1) or real(content))
    before = write_catalogue(tmp_path / "in", rows_for(contents), contents)
    for number, n_read in enumerate((5, 5, 6)):
        done = curate(
            before, tmp_path / f"out{number}", CurateConfig(), workspace=tmp_path / "runs"
        )
        assert len(read) == n_read
        assert done.n_out == 5
        if number == 1:
            (tmp_path / "in-media" / "3.png").write_bytes(picture(77))
    outs = [(tmp_path / f"out{number}" / FILE).read_bytes() for number in range(3)]
    assert outs[0] == outs[1] != outs[2]
    for part in memory_folder(tmp_path / "runs").iterdir():
        part.write_bytes(b"no table")
    curate(before, tmp_path / "out3", CurateConfig(), workspace=tmp_path / "runs")
    assert len(read) == 11, "a broken memory is made anew"
    with pytest.raises(UsageError, match="already"):
        curate(before, tmp_path / "out3", CurateConfig(), workspace=tmp_path / "runs")


def test_a_killed_curation_goes_on_where_it_was(tmp_path):
    contents = {f"{number}.png": picture(number, 40, 30) for number in range(90)}
    write_catalogue(tmp_path / "in", rows_for(contents), contents)
    script = Path(__file__).with_name("kill_curation.py")
    answer = subprocess.run(
        [sys.executable, script, tmp_path / "in", tmp_path / "out", tmp_path / "runs", "2"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(measuring.__file__).parents[3]), "PATH": ""},
    )
    seen = json.loads(answer.stdout)
    first, second = seen["remembered"]
    assert 0 < first < second < 90
    assert seen["last"] == 90 - second
    curate(
        Catalogue.open(tmp_path / "in"),
        tmp_path / "whole",
        CurateConfig(),
        workspace=tmp_path / "x",
    )
    for name in (FILE, SPECIES_FILE, "rows-00000.parquet", "catalogue.json", "left_out.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_nothing_goes_without_being_told(run, data):
    """Random rows on few pictures, under random options: rows in are rows out and rows told."""
    pool = [picture(0), picture(1), recoded(picture(1)), frame(9), b"", b"no picture"]
    n = data.draw(st.integers(1, 12))
    contents, rows = {}, []
    for number in range(n):
        content = data.draw(st.sampled_from([*pool, None]))
        name = f"{number}.png" if content is not None else ""
        if content is not None:
            contents[name] = content
        row = {"id": f"set/{number}", "image": name}
        for column, values in {
            "species": ["", "A", "B"],
            "split": ["", "train", "test"],
            "unit": ["", "set/u", "set/v"],
            "taxonGroup": ["", "fish"],
            "recordedBy": ["", "trap"],
            "eventDate": ["", "2020-05-01T10:00:00", "2020-05-01T10:00:03Z"],
        }.items():
            row[column] = data.draw(st.sampled_from(values))
        rows.append(row)
    caps = st.integers(0, 3)
    bursts = data.draw(st.booleans())
    run(
        rows,
        contents,
        min_side=data.draw(st.sampled_from([0, 50])),
        blank=data.draw(st.sampled_from([0.0, 4.0])),
        copies=data.draw(st.booleans()),
        near=data.draw(st.sampled_from([-1, 0, 20])),
        mixed=data.draw(st.sampled_from(["keep", "drop"])),
        per_unit=data.draw(caps),
        per_species=data.draw(caps),
        per_unit_species=data.draw(caps),
        per_burst=2 if bursts else 0,
        burst_seconds=5.0 if bursts else 0.0,
        burst_by="recordedBy",
    )


def test_rows_are_found_by_their_ids(tmp_path):
    rows = [{"id": f"set/{number}"} for number in range(7)]
    catalogue = write_catalogue(tmp_path / "in", rows, {})
    assert rows_of(catalogue, ["set/4", "set/x", "set/0"]).tolist() == [4, -1, 0]


def test_an_empty_catalogue_is_curated(run, tmp_path):
    out, done = run([{"id": "set/0", "image": "gone.png"}], {})
    assert kept(out) == []
    empty = Catalogue.open(out)
    done = curate(
        empty, tmp_path / "none", CurateConfig(), workspace=tmp_path / "r", against=[empty]
    )
    assert (done.n_in, done.n_out) == (0, 0)
    assert done.tables()
    assert np.array_equal(done.tail.curve().rank, [])
