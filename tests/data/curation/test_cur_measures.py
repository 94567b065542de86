"""What is measured of pictures, on generated ones and on real ones."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fakes.curated import frame, picture, write_catalogue
from syntype.configs.curate import CurateConfig
from syntype.data.catalogue import Catalogue
from syntype.data.curation.curate import FILE, curate
from syntype.data.curation.measuring import measure, nothing
from syntype.data.curation.memory import Memory
from syntype.data.perceptual import picture_hash, picture_looks

BLANK = CurateConfig().blank


def relief(content: bytes) -> float:
    return float(measure(content)["relief"][0])


@pytest.mark.parametrize("level", [0, 20, 128, 250])
@pytest.mark.parametrize(("noise", "side"), [(0, 64), (3, 64), (6, 224), (9, 224)])
def test_frames_of_grey_and_noise_are_blank(level, noise, side):
    assert relief(frame(level, noise, side)) < BLANK


def test_light_that_falls_off_is_blank_and_a_speck_is_not():
    y, x = np.mgrid[-1:1:300j, -1:1:400j]
    rng = np.random.default_rng(0)
    pixels = 160 - 40 * (x * x + y * y) + rng.normal(0, 4, x.shape)
    pixels = np.repeat(pixels[..., None], 3, axis=2).clip(0, 255).astype(np.uint8)
    found = picture_looks(pixels)
    assert found.relief < BLANK < 10 * found.contours, "contours would not tell"
    pixels[140:170, 180:210] = 60
    assert picture_looks(pixels).relief > BLANK


def test_looks_are_those_of_the_hash():
    pixels = np.asarray(Image.open(io.BytesIO(picture(4))))
    found = picture_looks(pixels)
    np.testing.assert_array_equal(found.bits, picture_hash(pixels))
    assert picture_looks(np.full((30, 30, 3), 7, np.uint8)) == (None, 0.0, pytest.approx(0))


def measures(keys, changed=1):
    found = nothing(len(keys))
    found["key"], found["check"], found["changed"] = keys, [key * 7 for key in keys], changed
    found["width"] = [key % 1000 for key in keys]
    found["reason"] = ["" if key % 2 else "truncated" for key in keys]
    return found


def test_a_memory_gives_back_what_it_was_given(tmp_path):
    memory = Memory(tmp_path)
    keys = np.random.default_rng(0).permutation(500).astype(np.uint64)
    for start in range(0, 500, 5):
        memory.add(measures(keys[start : start + 5].tolist()))
    memory.add(measures([3, 4], changed=2))
    for _ in range(2):  # the second time, small parts were joined
        memory = Memory(tmp_path)
        asked = nothing(4)
        asked["key"], asked["check"] = [3, 499, 4, 900], [21, 3493, 5, 6300]
        asked["changed"] = 1
        known, found = memory.recall(asked)
        assert known.tolist() == [True, True, False, False], "of 4, the other half is another"
        assert found["width"].tolist() == [3, 499, 0, 0]
        asked["changed"], asked["check"][2] = 2, 28
        known, found = memory.recall(asked)
        assert known.tolist() == [True, False, True, False]
        assert found["reason"].tolist() == ["", "", "truncated", ""]
    assert len(list(tmp_path.iterdir())) < 5


def real_catalogue(root: Path, out: Path) -> Catalogue:
    """A real set, read where it lies."""
    with (root / "labels.csv").open() as handle:
        listed = list(csv.DictReader(handle))
    rows = [
        {
            "id": f"{root.name}/{row['path']}",
            "image": str(root / row["path"]),
            "species": row["label"],
            "unit": row["group"],
            "split": "" if row["split"] == "all" else row["split"],
        }
        for row in listed
    ]
    return write_catalogue(out, rows, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n", "near", "within", "flat"),
    [
        ("birds_opennature_cc0", 742, 0, 0, 0),
        ("plankton_ndsb", 6116, 4, 0, 7),
        ("fish_f4k", 7352, 2, 27, 0),
    ],
)
def test_real_sets_lose_nothing_they_should_not(real_data, tmp_path, name, n, near, within, flat):
    """No picture is blank; what is near is counted: of other units within 31 bits, then of one."""
    before = real_catalogue(real_data(name), tmp_path / "in")
    place = tmp_path / "runs"
    done = curate(before, tmp_path / "out", CurateConfig(), workspace=place)
    assert (done.n_in, done.n_out, done.n_flat) == (n, n, flat)
    wide = curate(before, tmp_path / "wide", CurateConfig(near=31), workspace=place)
    assert wide.by(0).get(("near copy",), 0) == near
    lone = write_catalogue(
        tmp_path / "lone",
        [
            {name: row[name] for name in ("id", "image", "species", "split")}
            for table in before.scan()
            for row in table.to_pylist()
        ],
        {},
    )
    done = curate(lone, tmp_path / "units", CurateConfig(), workspace=place)
    gone = pq.read_table(tmp_path / "units" / FILE, filters=[("verdict", "=", "near copy")])
    assert done.by(0).get(("near copy",), 0) == len(gone) == within
