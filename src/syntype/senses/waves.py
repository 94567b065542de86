"""Bytes of a sound to one channel of samples, or a `MediaError` with the reason.

Legend: t samples, c channels, w windows.

libsndfile decodes: wav, flac, ogg (Vorbis, Opus), mp3, aiff and more; m4a, 3gp and wma are not
among them. What becomes of the sounds that are not plain:

    several channels        their mean; where they cancel each other (a cable wired the wrong way
                            round), the loudest of them, with a remark
    constant offset         kept, with a remark; `Wave.centred` takes it out
    clipped                 kept, with a remark: the share of samples at full scale
    cut short               what is there, with a remark
    NaN, infinite           refused
    silent                  refused: less than -100 dB of full scale once the offset is out, so that
                            no vector of noise bits passes for that of an animal
    very short              refused below 20 ms
    very long               refused above `most_seconds`, before it is decoded: ask for a part
    odd rates               1 kHz to 1 MHz; what lies above half the delivered rate is not there,
                            and no resampling brings it back

Resampling is polyphase filtering, scipy's `resample_poly` with its own filter (Kaiser window, ten
zero crossings on either side). Nothing here is random: a crop is a rule, and the rule is part of
the identity of what uses it.
"""

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from syntype.data.locator import Locator, read
from syntype.errors import DataNotFoundError, MediaError, UsageError

SoundSource = bytes | Path | tuple[Path, int, int]
"""A sound: its bytes, its file, or bytes of a file (path, offset, length)."""

Padding = Literal["zeros", "repeat", "repeat-whole"]
"""How a short sound fills a window: silence behind it; itself again and again; or itself as often
as it fits as a whole, then silence (CLAP's `repeatpad`)."""

MOST_SECONDS = 900.0
LEAST_SECONDS = 0.02
_RATES = (1_000, 1_000_000)
_MOST_CHANNELS = 64
_MOST_VALUES = 2**28  # of all channels: 1 GiB as they are decoded
_SILENT = 1e-5  # of full scale
_CANCELLED = 1e-3  # of the loudest channel's amplitude
_FULL, _CLIPPED_SHARE = 0.999, 1e-4
_OFFSET = 0.01
_LONGEST_FILTER = 200_000  # the larger of the two factors of a resampling
_FRAME_SECONDS = 0.02  # of the energies that the loudest window is found by
_SAID = re.compile(r"^ *data *: *(\d+) \(should be (\d+)\)", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Wave:
    """One channel of sound.

    Attributes:
        samples: Full scale is 1; not clipped to it.
        rate: Samples a second.
        remarks: What was found wrong and mended or kept, in a few words each.
    """

    samples: Float[np.ndarray, "t"]
    rate: int
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    def at(self, rate: int) -> "Wave":
        """The same at `rate` samples a second; itself where it has that rate."""
        return replace(self, samples=resample(self.samples, self.rate, rate), rate=rate)

    def centred(self) -> "Wave":
        """The same without its constant offset."""
        mean = self.samples.mean(dtype=np.float64)
        return replace(self, samples=(self.samples - mean).astype(np.float32))


def read_wave(
    source: SoundSource,
    *,
    rate: int = 0,
    start: float = 0.0,
    seconds: float = 0.0,
    most_seconds: float = MOST_SECONDS,
) -> Wave:
    """Decode a sound to one channel.

    Args:
        source: The bytes, the file, or bytes of a file.
        rate: Samples a second that are wanted; 0 leaves it as delivered.
        start: Where to begin, in seconds; what lies before is not decoded.
        seconds: How much to read; 0 reads to the end.
        most_seconds: Refuse more than that before it is decoded.

    Raises:
        MediaError: The sound cannot be decoded or holds nothing; the message is the reason.
        DataNotFoundError: There is no such file.
        UsageError: The part begins before the sound.
    """
    if start < 0 or seconds < 0:
        raise UsageError(f"A part of a sound begins at 0 or later, not {start:g}, {seconds:g}.")
    with _opened(source) as content:
        samples, delivered, remarks = _decoded(content, start, seconds, most_seconds)
    if len(samples) < LEAST_SECONDS * delivered:
        what = f"{len(samples)} samples at {delivered} Hz" if len(samples) else "no samples"
        raise MediaError(f"too short: {what}, of at least {LEAST_SECONDS * 1000:g} ms")
    if not np.isfinite(samples).all():
        raise MediaError("NaN or infinite samples")
    wave = _judged(Wave(*_one_channel(samples, delivered, remarks)))
    return wave.at(rate) if rate else wave


@contextmanager
def _opened(source: SoundSource) -> Iterator[io.BufferedIOBase]:
    """The content, to be read where it is wanted: of hours of sound, a part may be."""
    try:
        content = source.open("rb") if isinstance(source, Path) else io.BytesIO(_bytes(source))
    except FileNotFoundError as error:
        raise DataNotFoundError(f"There is no sound {error.filename}. Check the path.") from error
    except OSError as error:
        raise MediaError(f"the file cannot be read ({error.strerror})") from error
    with content:
        if not content.read(1):
            raise MediaError("the file is empty")
        content.seek(0)
        yield content


def _bytes(source: SoundSource) -> bytes:
    if isinstance(source, bytes):
        return source
    assert not isinstance(source, Path)
    path, offset, length = source
    return read(path.parent, Locator(path.name, "span", offset, length))


def _decoded(
    content: io.BufferedIOBase, start: float, seconds: float, most_seconds: float
) -> tuple[Float[np.ndarray, "t c"], int, tuple[str, ...]]:
    """The samples asked for, their rate, and a remark where the file ends too early."""
    import soundfile

    try:
        with soundfile.SoundFile(content) as file:
            _check_form(file.samplerate, file.channels)
            first = round(start * file.samplerate)
            there = max(file.frames - first, 0)
            wanted = min(there, round(seconds * file.samplerate)) if seconds else there
            if wanted > most_seconds * file.samplerate:
                raise MediaError(
                    f"{wanted / file.samplerate:.0f} s exceed the limit of {most_seconds:g} s: "
                    "read a part of it"
                )
            if wanted * file.channels > _MOST_VALUES:
                raise MediaError(f"{file.channels} channels of {wanted} samples: read a part of it")
            if first and there:
                file.seek(first)
            samples = file.read(wanted, dtype="float32", always_2d=True) if there else _NOTHING
            cut = _cut_short(file.extra_info, wanted, len(samples))
            return samples, int(file.samplerate), cut
    except soundfile.LibsndfileError as error:
        raise MediaError(_reason(str(error.error_string))) from error


_NOTHING = np.zeros((0, 1), np.float32)


def _check_form(rate: int, n_channels: int) -> None:
    if not _RATES[0] <= rate <= _RATES[1]:
        raise MediaError(f"a sample rate of {rate} Hz, which no recorder has")
    if n_channels > _MOST_CHANNELS:
        raise MediaError(f"{n_channels} channels, of at most {_MOST_CHANNELS}")


def _cut_short(header: str, wanted: int, found: int) -> tuple[str, ...]:
    if said := _SAID.search(header):
        return (f"cut short: {int(said[2])} of {int(said[1])} bytes",)
    # Lossy formats say their length within a frame or two.
    if found < 0.95 * wanted:
        return (f"cut short: {found} of {wanted} samples",)
    return ()


def _reason(text: str) -> str:
    text = text.strip().rstrip(".").removeprefix("Error : ")
    if "not recognised" in text or "does not exist" in text:
        return "not a sound, or of a format that is not read"
    return f"damaged ({text[:80]})"


def _one_channel(
    samples: Float[np.ndarray, "t c"], rate: int, remarks: tuple[str, ...]
) -> tuple[Float[np.ndarray, "t"], int, tuple[str, ...]]:
    if samples.shape[1] == 1:
        return samples[:, 0], rate, remarks
    mean = samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    strength = samples.std(axis=0, dtype=np.float64)
    loudest = int(strength.argmax())
    if strength[loudest] > _SILENT and mean.std() < _CANCELLED * strength[loudest]:
        remark = f"channels cancel each other: channel {loudest + 1} is taken"
        return samples[:, loudest].copy(), rate, (*remarks, remark)
    return mean, rate, remarks


def _judged(wave: Wave) -> Wave:
    """The wave with its remarks.

    Raises:
        MediaError: It is silent.
    """
    size = np.abs(wave.samples)
    offset = float(wave.samples.mean(dtype=np.float64))
    if np.abs(wave.samples - offset).max() < _SILENT:
        raise MediaError("silent" if abs(offset) < _SILENT else "silent but for a constant offset")
    found = list(wave.remarks)
    if (share := float((size >= _FULL).mean())) > _CLIPPED_SHARE:
        found.append(f"clipped: {share:.2%} of the samples at full scale")
    if abs(offset) > _OFFSET:
        found.append(f"constant offset of {offset:.2g}")
    return replace(wave, remarks=tuple(found))


def resample(samples: Float[np.ndarray, "t"], rate: int, wanted: int) -> Float[np.ndarray, "_"]:
    """Samples at another rate, float32; ceil(t wanted / rate) of them.

    Raises:
        MediaError: The rates have no common measure worth a filter.
    """
    if rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    up, down = wanted // common, rate // common
    if max(up, down) > _LONGEST_FILTER:
        raise MediaError(f"a rate of {rate} Hz, which cannot be brought to {wanted} Hz")
    found: np.ndarray = resample_poly(samples, up, down)
    return found.astype(np.float32, copy=False)


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Which windows of a sound are taken; a rule without chance.

    Attributes:
        kind: `start`, `centre`; `loudest`, the one with the most energy in the band; or `spread`,
            `n` of them, evenly from the first possible to the last.
        seconds: Length of a window.
        n: How many windows; 1 but for `spread`.
        low: Lower edge of the band of `loudest`, Hz.
        high: Upper edge, Hz; 0 is half the rate.
        padding: How a sound that is shorter than a window fills it.
    """

    kind: Literal["start", "centre", "loudest", "spread"] = "centre"
    seconds: float = 10.0
    n: int = 1
    low: float = 0.0
    high: float = 0.0
    padding: Padding = "repeat-whole"

    def __post_init__(self) -> None:
        """Check what a rule can be."""
        if self.seconds <= 0 or self.n < 1 or (self.n > 1 and self.kind != "spread"):
            raise UsageError(
                f"A crop of {self.n} windows ({self.kind}) of {self.seconds:g} s cannot be: "
                "several windows are `spread`, and a window has a length."
            )
        if self.low < 0 or (self.high and self.high <= self.low):
            raise UsageError(f"{self.low:g} to {self.high:g} Hz is no band.")

    def starts(self, wave: Wave) -> Int[np.ndarray, "w"]:
        """The first sample of each window; 0 for a sound that is shorter than one."""
        last = max(len(wave.samples) - self.length(wave.rate), 0)
        if self.kind == "spread":
            return np.linspace(0, last, self.n).round().astype(np.int64)
        place = {"start": 0, "centre": last // 2}.get(self.kind)
        return np.array([self._loudest(wave, last) if place is None else place], dtype=np.int64)

    def length(self, rate: int) -> int:
        """Samples of a window."""
        return max(1, round(self.seconds * rate))

    def cut(self, wave: Wave) -> Float[np.ndarray, "w t"]:
        """The windows of a sound, each of the same length."""
        length = self.length(wave.rate)
        parts = [wave.samples[start : start + length] for start in self.starts(wave)]
        return np.stack([fill(part, length, self.padding) for part in parts])

    def _loudest(self, wave: Wave, last: int) -> int:
        """Where the window with the most energy in the band begins; of equal ones, the first."""
        step = max(1, round(_FRAME_SECONDS * wave.rate))
        energy = band_energy(wave, self.low, self.high or wave.rate / 2, step)
        n_frames = max(1, round(self.length(wave.rate) / step))
        if last == 0 or len(energy) <= n_frames:
            return last // 2
        sums = np.concatenate([[0.0], np.cumsum(energy)])
        totals = sums[n_frames:] - sums[:-n_frames]
        # A sum of equal windows differs in its last bits: the first within rounding is the first.
        return min(int((totals >= totals.max() * (1 - 1e-9)).argmax()) * step, last)


def band_energy(wave: Wave, low: float, high: float, step: int) -> Float[np.ndarray, "_"]:
    """Energy between two frequencies in consecutive frames of `step` samples, float64."""
    n_frames = len(wave.samples) // step
    frames = wave.samples[: n_frames * step].reshape(n_frames, step).astype(np.float64)
    power = np.abs(np.fft.rfft(frames * np.hanning(step + 2)[1:-1], axis=1)) ** 2
    hertz = np.fft.rfftfreq(step, 1 / wave.rate)
    return power[:, (hertz >= low) & (hertz <= high)].sum(axis=1)


def fill(samples: Float[np.ndarray, "t"], length: int, padding: Padding) -> Float[np.ndarray, "_"]:
    """`samples` at `length`: cut, or padded as `padding` says."""
    if len(samples) >= length:
        return samples[:length]
    if padding == "repeat":
        return np.tile(samples, length // len(samples) + 1)[:length]
    whole = length // len(samples) if padding == "repeat-whole" else 1
    filled = np.tile(samples, whole)
    return np.pad(filled, (0, length - len(filled)))


def waves_of(sounds: Sequence[Any], rate: int) -> list[Wave]:
    """Sounds, decoded (`Wave`) or not (`SoundSource`), at one rate.

    Raises:
        MediaError: One cannot be decoded; the message names which.
    """
    found = []
    for number, sound in enumerate(sounds):
        try:
            found.append(sound.at(rate) if isinstance(sound, Wave) else read_wave(sound, rate=rate))
        except DataNotFoundError:
            raise
        except MediaError as error:
            raise MediaError(f"sound {number} of {len(sounds)}: {error}") from error
    return found
