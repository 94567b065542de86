import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from fakes.imagebind import Naive, write_imagebind
from fakes.sounds import encoded, tone
from senses.kaldi import spectrogram
from syntype.errors import MediaError, UnknownEncoderError, UsageError, WeightsError
from syntype.senses.load import load_sense
from syntype.senses.sound_imagebind import Hearing
from syntype.senses.waves import Wave

YES = "?licence=accepted"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file without the words' heavy table, and its tensors."""
    path = tmp_path_factory.mktemp("imagebind") / "imagebind.pth"
    return path, write_imagebind(path, branches=("vision", "audio"))


@pytest.fixture(scope="module")
def sense(made):
    return load_sense(f"imagebind-audio:{made[0]}{YES}", "cpu")


def sound(seconds, seed=0, hertz=900, rate=16_000):
    noise = np.random.default_rng(seed).standard_normal(round(seconds * rate)) * 0.05
    return Wave((noise + tone(hertz, seconds, rate)).astype(np.float32), rate)


def clips(samples, starts):
    """The published input: clips less their mean, frames, zeros up to 204, normalised."""
    found = []
    for start in starts:
        clip = samples[start : start + 32_000].astype(np.float64)
        frames = spectrogram(clip - clip.mean())[:204]
        filled = np.zeros((128, 204))
        filled[:, : len(frames)] = frames.T
        found.append((filled + 4.268) / 9.138)
    return np.array(found)


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [(0.3, (0, 0, 0)), (2.0, (0, 0, 0)), (5.0, (0, 24_000, 48_000))],
)
def test_vectors_are_those_of_the_description(made, sense, seconds, starts):
    wave = sound(seconds)
    expected = clips(wave.samples, starts)
    (views,) = sense.prepare([wave])
    np.testing.assert_allclose(views[0].numpy(), expected, atol=1e-5)
    own = Naive(made[1], "audio").sound(expected)
    np.testing.assert_allclose(sense.encode([wave])[0].numpy(), own, atol=2e-6)


def test_vectors_are_unit_and_do_not_depend_on_their_batch(sense):
    waves = [sound(0.5), sound(3, seed=1, hertz=3000), sound(2.1, seed=2)]
    vectors = sense.encode(waves)
    assert vectors.shape == (3, sense.dim)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    alone = torch.cat([sense.encode([wave]) for wave in waves])
    torch.testing.assert_close(vectors, alone, atol=1e-5, rtol=0)
    assert torch.equal(vectors, sense.encode(waves))


def test_the_scale_is_the_authors_20_and_the_vector_is_without_it(sense):
    assert sense.logit_scale == pytest.approx(20, rel=1e-6)
    with torch.inference_mode():
        (views,) = sense.prepare([sound(2)])  # three equal clips
        torch.testing.assert_close(sense.module(views).norm(), torch.tensor(1.0))


@pytest.mark.parametrize("seconds", [2.0, 2.00007, 3.7, 61.234])
def test_three_clips_lie_evenly_from_the_first_sample_to_the_last(seconds):
    n = round(seconds * 16_000)
    found = Hearing().cut(Wave(np.arange(n, dtype=np.float32), 16_000))
    assert found.shape == (3, 32_000)
    starts, last = found[:, 0], n - 32_000
    assert np.abs(starts - [0, last / 2, last]).max() <= 1
    assert (np.diff(found, axis=1) == 1).all()


def test_very_short_sounds_are_padded_to_one_frame(sense):
    wave = sound(0.021)
    longer = replace(wave, samples=np.pad(wave.samples, (0, 400 - len(wave.samples))))
    assert torch.equal(sense.encode([wave]), sense.encode([longer]))


def test_files_of_other_rates_and_channels_are_heard(sense):
    left, right = (sound(1.0, seed=seed, hertz=700, rate=32_000).samples for seed in (1, 2))
    stereo = encoded(np.stack([left, right], axis=1), 32_000, subtype="FLOAT")
    mean = Wave((left + right) / 2, 32_000)
    torch.testing.assert_close(sense.encode([stereo]), sense.encode([mean]), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        sense.encode([mean]), sense.encode([mean.at(16_000)]), atol=1e-6, rtol=0
    )


def test_silent_and_broken_sounds_are_told(sense):
    with pytest.raises(MediaError, match="sound 1 of 2: silent"):
        sense.encode([sound(1), encoded(np.zeros(16_000, np.float32), 16_000)])
    with pytest.raises(MediaError, match="sound 0 of 1: not a sound"):
        sense.encode([b"this is no sound"])


def test_an_offset_is_not_heard(sense):
    wave = sound(2.5)
    moved = replace(wave, samples=wave.samples + np.float32(0.1))
    torch.testing.assert_close(sense.encode([moved]), sense.encode([wave]), atol=1e-4, rtol=0)


def test_what_it_is(made, sense):
    path, _ = made
    assert (sense.modality, sense.dim) == ("sound", 24)
    assert sense.name == f"imagebind-audio:{path}{YES}"
    assert {key: sense.preparation[key] for key in ("clips", "seconds", "frames")} == {
        "clips": 3,
        "seconds": 2.0,
        "frames": 204,
    }
    assert (sense.preparation["mean"], sense.preparation["std"]) == (-4.268, 9.138)
    assert sense.preparation["fbank"]["preemphasis"] == 0.97
    assert str(path) not in json.dumps(sense.identity)
    assert load_sense(sense.name, "cpu").key == sense.key
    assert replace(sense, preparation={**sense.preparation, "clips": 5}).key != sense.key


def test_the_file_may_hold_sounds_alone(tmp_path, sense):
    write_imagebind(tmp_path / "x.pth", branches=("audio",), beside=False)
    assert load_sense(f"imagebind-audio:{tmp_path}/x.pth{YES}", "cpu").key == sense.key


def test_tiles_are_seen_by_the_image_tower_of_the_same_file(made):
    tiles = load_sense(f"satellite:imagebind:{made[0]}{YES}", "cpu")
    assert (tiles.modality, tiles.dim) == ("satellite", 24)
    found = tiles.encode([np.full((40, 30, 3), 90, np.uint8)])
    torch.testing.assert_close(found.norm(dim=1), torch.ones(1))


def test_the_module_can_be_trained(sense):
    (views,) = sense.prepare([sound(0.5), sound(0.5, seed=3)])
    sense.module(views).square().mean(dim=0)[:3].sum().backward()
    gradients = {name: one.grad for name, one in sense.module.named_parameters()}
    assert all(one is not None and bool(one.any()) for one in gradients.values())
    sense.module.zero_grad()


def test_what_cannot_be_is_refused(made, tmp_path):
    with pytest.raises(UsageError, match=r"CC BY-NC-SA 4\.0.*imagebind-audio:.*licence=accepted"):
        load_sense(f"imagebind-audio:{made[0]}", "cpu")
    with pytest.raises(UsageError, match="has licence, not 'clips'"):
        load_sense(f"imagebind-audio:{made[0]}{YES}&clips=5", "cpu")
    with pytest.raises(UnknownEncoderError, match="names no file"):
        load_sense(f"imagebind-audio{YES}", "cpu")
    with pytest.raises(UnknownEncoderError, match="imagebind-audio"):
        load_sense("imagebind-sound:x", "cpu")
    write_imagebind(tmp_path / "x.pth", branches=("vision",))
    with pytest.raises(WeightsError, match="no branch for audio"):
        load_sense(f"imagebind-audio:{tmp_path}/x.pth{YES}", "cpu")
    with pytest.raises(UsageError, match="must be positive"):
        Hearing(clips=0)
