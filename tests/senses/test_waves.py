import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import firwin, resample_poly

from fakes.sounds import BREAKS, encoded, tone
from syntype.errors import DataNotFoundError, MediaError, UsageError
from syntype.senses.waves import Crop, Wave, fill, read_wave, resample, waves_of


@pytest.mark.parametrize(
    ("kind", "subtype", "off"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "FLOAT", 0),
        ("FLAC", "PCM_16", 1e-4),
        ("AIFF", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.02),
        ("MP3", None, 0.02),
    ],
)
def test_formats_give_the_same_sound(kind, subtype, off):
    samples = tone()
    wave = read_wave(encoded(samples, kind=kind, subtype=subtype))
    assert (wave.rate, wave.samples.dtype, wave.remarks) == (48_000, np.float32, ())
    assert abs(len(wave.samples) - len(samples)) <= 0
    inner = slice(2000, -2000)  # lossy formats ring at the ends
    np.testing.assert_allclose(wave.samples[inner], samples[inner], atol=off)


def test_a_path_and_bytes_of_a_file_are_the_same_sound(tmp_path):
    content = encoded(tone(), kind="FLAC")
    whole, archive = tmp_path / "a.flac", tmp_path / "many.tar"
    whole.write_bytes(content)
    archive.write_bytes(b"x" * 512 + content + b"y" * 512)
    expected = read_wave(content).samples
    np.testing.assert_array_equal(read_wave(whole).samples, expected)
    np.testing.assert_array_equal(read_wave((archive, 512, len(content))).samples, expected)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"gone\.wav"):
        read_wave(tmp_path / "gone.wav")
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(MediaError, match="cannot be read"):
        read_wave(tmp_path / "folder.wav")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BREAKS["empty"], "the file is empty"),
        (BREAKS["text"], "not a sound"),
        (BREAKS["stub"], "not a sound"),
        (encoded(tone(), kind="FLAC")[:3000], "damaged"),
        (encoded(tone(seconds=2.0), kind="OGG")[:2000], "damaged"),
        (encoded(np.zeros(0)), "too short: no samples"),
        (encoded(tone()[:50]), "too short: 50 samples at 48000 Hz"),
        (encoded(np.zeros(9600)), "silent"),
        (encoded(np.full(9600, 0.2)), "silent but for a constant offset"),
        (encoded(np.r_[tone(), np.nan], subtype="FLOAT"), "NaN or infinite"),
        (encoded(np.r_[tone(), np.inf], subtype="FLOAT"), "NaN or infinite"),
        (encoded(tone(), rate=2), "sample rate of 2 Hz"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_holds_no_sound_is_refused_by_name(content, reason):
    with pytest.raises(MediaError, match=reason):
        read_wave(content)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["WAV", "FLAC"]), st.integers(0, 20_000), st.integers(0, 255))
def test_no_damage_ends_in_another_error(kind, place, value):
    content = bytearray(encoded(tone(seconds=0.2), kind=kind))
    content[place % len(content)] = value
    try:
        wave = read_wave(bytes(content), rate=8000)
    except MediaError:
        return
    assert np.isfinite(wave.samples).all()
    assert len(wave.samples)


def test_a_sound_cut_short_is_kept_and_told():
    content = encoded(tone(), subtype="PCM_16")
    wave = read_wave(content[: len(content) // 2])
    assert len(wave.samples) == pytest.approx(24_000, abs=40)
    assert wave.remarks[0].startswith("cut short")
    assert not read_wave(content).remarks


def test_several_channels_become_their_mean():
    left, right = tone(500), tone(3000)
    wave = read_wave(encoded(np.stack([left, right], 1), subtype="FLOAT"))
    np.testing.assert_allclose(wave.samples, (left + right) / 2, atol=1e-6)
    six = read_wave(encoded(np.stack([left] * 6, 1), subtype="FLOAT"))
    np.testing.assert_allclose(six.samples, left, atol=1e-6)


def test_channels_that_cancel_do_not_fall_silent():
    wave = read_wave(encoded(np.stack([tone(), -0.9999 * tone()], 1), subtype="FLOAT"))
    np.testing.assert_allclose(wave.samples, tone(), atol=1e-6)
    assert "channel 1 is taken" in wave.remarks[0]


def test_one_dead_channel_is_no_cancelling():
    wave = read_wave(encoded(np.stack([tone(), 0 * tone()], 1), subtype="FLOAT"))
    assert not wave.remarks


def test_clipping_and_offset_are_told_and_kept():
    loud = np.clip(3 * tone(level=0.5), -1, 1)
    clipped = read_wave(encoded(loud, subtype="FLOAT"))
    assert "clipped" in clipped.remarks[0]
    shifted = read_wave(encoded(tone() + 0.2, subtype="FLOAT"))
    assert "constant offset of 0.2" in shifted.remarks[0]
    assert shifted.samples.mean() == pytest.approx(0.2, abs=1e-3)
    assert shifted.centred().samples.mean() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000, 192_000])
def test_a_tone_keeps_its_pitch_and_strength_at_every_rate(rate):
    wave = read_wave(encoded(tone(1000, rate=rate), rate=rate, subtype="FLOAT"), rate=48_000)
    assert wave.rate == 48_000
    assert len(wave.samples) == 48_000
    spectrum = np.abs(np.fft.rfft(wave.samples * np.hanning(48_000)))
    assert spectrum.argmax() == 1000
    assert wave.samples[4800:-4800].std() == pytest.approx(0.3 / 2**0.5, rel=3e-3)


def test_what_lies_above_the_new_half_rate_does_not_come_back_as_another_tone():
    high = tone(20_000, rate=48_000, level=0.5)
    assert np.abs(resample(high, 48_000, 16_000)[100:-100]).max() < 1e-3 * 0.5


def test_resampling_is_that_of_scipy_and_of_the_definition():
    samples = np.random.default_rng(0).standard_normal(600).astype(np.float32)
    found = resample(samples, 44_100, 48_000)
    exact = resample_poly(samples.astype(np.float64), 160, 147)
    np.testing.assert_allclose(found, exact, atol=1e-5)
    # By hand: zeros between the samples, a low-pass filter, every 147th of what comes out.
    weights = 160 * firwin(2 * 10 * 160 + 1, 1 / 160, window=("kaiser", 5.0))
    spread = np.zeros(600 * 160)
    spread[::160] = samples
    whole = np.convolve(spread, weights)[1600 : 1600 + 600 * 160]
    np.testing.assert_allclose(found, whole[::147], atol=1e-5)


def test_rates_without_a_common_measure_are_refused():
    with pytest.raises(MediaError, match="cannot be brought"):
        resample(tone(seconds=0.1), 999_983, 48_000)


@given(st.integers(1, 3000), st.sampled_from([(8, 48), (44_100, 48_000), (48_000, 22_050)]))
@settings(max_examples=30, deadline=None)
def test_the_length_follows_the_rates(n, rates):
    assert len(resample(np.ones(n, np.float32), *rates)) == -(-n * rates[1] // rates[0])


def test_a_part_of_a_long_sound_is_read_by_seconds():
    samples = np.concatenate([tone(500), tone(2000), tone(500)])
    part = read_wave(encoded(samples, subtype="FLOAT"), start=1.0, seconds=1.0)
    np.testing.assert_allclose(part.samples, tone(2000), atol=1e-6)


def test_a_very_long_sound_is_refused_before_it_is_decoded():
    content = encoded(np.tile(tone(rate=8000), 20), rate=8000)
    with pytest.raises(MediaError, match="20 s exceed the limit of 10 s"):
        read_wave(content, most_seconds=10.0)
    assert read_wave(content, most_seconds=10.0, start=15.0).seconds == pytest.approx(5)
    with pytest.raises(MediaError, match="no samples"):
        read_wave(content, start=30.0)


def test_a_part_of_a_file_is_read_without_the_rest(tmp_path):
    path = tmp_path / "long.wav"
    path.write_bytes(encoded(np.tile(tone(rate=8000), 100), rate=8000))
    part = read_wave(path, start=99.0, seconds=0.5, most_seconds=1.0)
    assert part.seconds == pytest.approx(0.5)
    with pytest.raises(UsageError, match="begins at 0 or later"):
        read_wave(path, start=-1.0)


def test_many_channels_of_many_samples_are_refused_before_they_are_decoded(monkeypatch):
    from syntype.senses import waves

    monkeypatch.setattr(waves, "_MOST_VALUES", 5000)
    with pytest.raises(MediaError, match="2 channels of 4800 samples"):
        read_wave(encoded(np.stack([tone(seconds=0.1)] * 2, 1)))


def wave_of(*parts, rate=8000):
    return Wave(np.concatenate(parts), rate)


def test_windows_lie_where_their_rule_says():
    wave = Wave(np.arange(100, dtype=np.float32), 10)

    def at(**rule):
        return Crop(seconds=2.0, **rule).starts(wave).tolist()

    assert at(kind="start") == [0]
    assert at(kind="centre") == [40]
    assert at(kind="spread", n=3) == [0, 40, 80]
    np.testing.assert_array_equal(
        Crop(kind="centre", seconds=2.0).cut(wave), [np.arange(40, 60, dtype=np.float32)]
    )


def test_the_loudest_window_is_that_of_the_band():
    quiet, low, high = (
        tone(f, 2, 8000, level) for f, level in ((50, 0.01), (300, 0.9), (2000, 0.3))
    )
    wave = wave_of(quiet, low, quiet, high, quiet)
    whole = Crop(kind="loudest", seconds=2.0).starts(wave)[0] / 8000
    band = Crop(kind="loudest", seconds=2.0, low=1500.0, high=3000.0).starts(wave)[0] / 8000
    assert whole == pytest.approx(2, abs=0.05)
    assert band == pytest.approx(6, abs=0.05)


def test_the_loudest_window_is_that_of_a_naive_search():
    samples = np.random.default_rng(1).standard_normal(8000 * 4).astype(np.float32)
    wave, step = Wave(samples, 8000), 160
    shape = np.hanning(step + 2)[1:-1]
    energy = [
        (np.abs(np.fft.rfft(samples[i : i + step].astype(float) * shape)) ** 2).sum()
        for i in range(0, len(samples) - step + 1, step)
    ]
    totals = [sum(energy[i : i + 50]) for i in range(len(energy) - 49)]
    assert Crop(kind="loudest", seconds=1.0).starts(wave)[0] == np.argmax(totals) * step


def test_of_equal_windows_the_first_is_the_loudest():
    wave = Wave(tone(1000, 5, 8000), 8000)
    assert Crop(kind="loudest", seconds=1.0).starts(wave).tolist() == [0]


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        ("zeros", [1, 2, 3, 0, 0, 0, 0, 0]),
        ("repeat", [1, 2, 3, 1, 2, 3, 1, 2]),
        ("repeat-whole", [1, 2, 3, 1, 2, 3, 0, 0]),
    ],
)
def test_a_short_sound_fills_its_window(padding, expected):
    three = np.array([1, 2, 3], np.float32)
    assert fill(three, 8, padding).tolist() == expected
    assert fill(three, 2, padding).tolist() == [1, 2]
    cut = Crop(kind="spread", n=2, seconds=0.8, padding=padding).cut(Wave(three, 10))
    assert cut.tolist() == [expected, expected]


@pytest.mark.parametrize(
    "rule", [{"seconds": 0.0}, {"n": 0}, {"n": 2}, {"low": 5.0, "high": 4.0}, {"low": -1.0}]
)
def test_rules_that_cannot_be_are_refused(rule):
    with pytest.raises(UsageError):
        Crop(**rule)


def test_sounds_come_as_they_are_or_decoded():
    content = encoded(tone(rate=16_000), rate=16_000)
    one, other = waves_of([content, read_wave(content)], 8000)
    np.testing.assert_array_equal(one.samples, other.samples)
    with pytest.raises(MediaError, match="sound 1 of 2: the file is empty"):
        waves_of([content, b""], 8000)
    with pytest.raises(DataNotFoundError):
        waves_of([Path("gone.wav")], 8000)


def test_what_is_read_is_what_soundfile_reads():
    import soundfile

    content = encoded(tone(seed=3), kind="FLAC")
    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    np.testing.assert_array_equal(read_wave(content).samples, expected)


@pytest.mark.real_data
def test_real_recordings_are_read(real_data):
    folder = real_data("birdsong_uk_xc")
    for path in sorted((folder / "audio").iterdir())[:5]:
        wave = read_wave(path, rate=48_000)
        assert 0.5 < wave.seconds <= 10.1
