"""Tensors of observations: row by row, kept or not; and random places, named by epoch."""

import numpy as np
import pytest
import torch

from binding.world import observations
from syntype.binding.material import Album, Backgrounds, Material, known, looks_up
from syntype.data.preprocess import Preprocess
from syntype.errors import DataError, MediaError, UnknownEncoderError, UsageError
from syntype.senses.load import load_sense

PLACE = "untrained:place-sphere?hidden=16&frequencies=8&dim=12"
VALUES = "untrained:climate-values?dim=12&depth=1"
EAR = "untrained:sound-small?dim=12&seconds=0.3"


@pytest.mark.parametrize("room", [0, 1 << 20])
def test_each_row_is_what_it_is_alone(tmp_path, room):
    seen = observations(tmp_path, 2, media=("image", "sound"))
    for spec in (PLACE, VALUES, EAR):
        material = Material(seen, load_sense(spec, "cpu"), room=room)
        rows = np.array([5, 0, 5, 11])
        together = material.batch(rows)
        alone = [material.batch(np.array([row])) for row in rows]
        for place, part in enumerate(together):
            torch.testing.assert_close(part, torch.cat([one[place] for one in alone]))


def test_places_and_climates_are_those_of_the_table(tmp_path):
    seen = observations(tmp_path, 1, media=())
    (places,) = Material(seen, load_sense(PLACE, "cpu")).batch(np.array([3]))
    assert places.tolist() == [[seen.latitude[3], seen.longitude[3]]]
    (values,) = Material(seen, load_sense(VALUES, "cpu")).batch(np.array([2, 4]))
    np.testing.assert_array_equal(values, seen.climate[[2, 4]])


def test_a_row_without_the_sense_gives_what_another_has(tmp_path):
    seen = observations(tmp_path, 2, missing=True, media=())
    sense = load_sense(VALUES, "cpu")
    assert not known(seen, sense).all()
    material = Material(seen, sense)
    missing = int((~material.has).argmax())
    (values,) = material.batch(np.array([missing, 0]))
    assert torch.equal(values[0], values[1])
    with pytest.raises(DataError, match=r"None of the .* has a climate"):
        Material(seen.select(~material.has), sense)


def test_what_cannot_be_read_is_named(tmp_path):
    seen = observations(tmp_path, 1, media=("sound",))
    (tmp_path / "2.wav").write_bytes(b"no sound")
    material = Material(seen, load_sense(EAR, "cpu"))
    with pytest.raises(MediaError, match="the sound of observation set/0002"):
        material.batch(np.arange(6))


def test_pictures_are_the_same_kept_or_not(tmp_path):
    seen = observations(tmp_path, 2)
    preprocess = Preprocess(size=8, mean=(0.0,) * 3, std=(1.0,) * 3)
    rows = np.array([7, 1, 7])
    kept, read = (Album(seen, preprocess, room).read(rows) for room in (1 << 20, 0))
    assert torch.equal(kept, read)
    assert kept.dtype == torch.uint8


def test_background_is_named_by_seed_and_epoch(tmp_path):
    material = Material(observations(tmp_path, 2, media=()), load_sense(PLACE, "cpu"))
    drawn = Backgrounds(material, "sphere", 0)
    rows = np.array([3, 8])
    (first,) = drawn.batch(rows, 0)
    (later,) = drawn.batch(rows, 1)
    (again,) = Backgrounds(material, "sphere", 0).batch(rows[::-1].copy(), 0)
    assert torch.equal(first, again.flip(0))
    assert not torch.equal(first, later)
    (other,) = Backgrounds(material, "sphere", 1).batch(rows, 0)
    assert not torch.equal(first, other)


def test_degrees_crowd_the_poles_and_the_sphere_does_not(tmp_path):
    material = Material(observations(tmp_path, 200, media=()), load_sense(PLACE, "cpu"))
    rows = np.arange(1200)
    share = {
        kind: (Backgrounds(material, kind, 0).batch(rows, 0)[0][:, 0].abs() > 60).float().mean()
        for kind in ("sphere", "degrees")
    }
    assert share["degrees"] == pytest.approx(1 / 3, abs=0.05)
    assert share["sphere"] == pytest.approx(1 - np.sin(np.pi / 3), abs=0.04)


def test_background_of_observations_are_observations_that_have_the_sense(tmp_path):
    seen = observations(tmp_path, 4, missing=True, media=())
    material = Material(seen, load_sense(VALUES, "cpu"))
    drawn = Backgrounds(material, "observations", 0)
    rows = drawn.rows(2)
    assert material.has[rows].all()
    (values,) = drawn.batch(np.array([5]), 2)
    np.testing.assert_array_equal(values[0], seen.climate[rows[5]])


def test_a_climate_without_raster_says_so(tmp_path):
    sense = load_sense(VALUES, "cpu")
    assert not looks_up(sense)
    assert looks_up(load_sense(PLACE, "cpu"))
    material = Material(observations(tmp_path, 1, media=()), sense)
    with pytest.raises(UsageError, match=r"--bind.background observations"):
        Backgrounds(material, "sphere", 0)


def test_unknown_senses_are_told_with_what_is_near():
    with pytest.raises(UnknownEncoderError, match="place-sphere"):
        load_sense("untrained:place-spere", "cpu")
    with pytest.raises(UnknownEncoderError, match="geoclip"):
        load_sense("geoclap:x", "cpu")
    with pytest.raises(DataError, match="20 finite numbers"):
        load_sense(VALUES, "cpu").encode(np.zeros((1, 3)))
