"""Pictures and sounds small enough to stand in a page: data URIs, spectrograms, short WAV files."""

import base64
import io
import wave
from math import gcd

import numpy as np
from jaxtyping import Float
from PIL import Image
from scipy import signal

from syntype.report.page import data_uri
from syntype.report.space_data import Medium
from syntype.report.space_svg import shade

MOST_SOUND_BYTES = 100 * 1024
"""Longer sounds are left out of the page."""
_SIGNS = (
    (b"RIFF", "audio/wav"),
    (b"fLaC", "audio/flac"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff", "audio/mpeg"),
)
_BANDS, _STEPS = 56, 112
_DECIBELS = 60.0


def small_wav(samples: Float[np.ndarray, "t"], rate: int, *, seconds: int | float = 3.0) -> bytes:
    """The beginning of a mono sound as 16-bit WAV of at most 16 kHz, below `MOST_SOUND_BYTES`.

    Args:
        samples: -1 to 1; louder ones are scaled down together.
        rate: Samples a second.
        seconds: How much of it, at most 3.
    """
    cut = samples[: int(min(seconds, 3.0) * rate)].astype(np.float64)
    if rate > 16000:
        common = gcd(rate, 16000)
        cut = signal.resample_poly(cut, 16000 // common, rate // common)
        rate = 16000
    loudest = float(np.abs(cut).max(initial=0))
    cut = cut / max(loudest, 1.0)
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((cut * 32767).round().astype("<i2").tobytes())
    return content.getvalue()


def sound_uri(content: bytes | None) -> str | None:
    """A sound as a data URI; None where there is none, it is too long, or no sound we know."""
    if content is None or len(content) > MOST_SOUND_BYTES:
        return None
    for sign, kind in _SIGNS:
        if content.startswith(sign):
            return f"data:{kind};base64," + base64.b64encode(content).decode()
    return None


def spectrogram_uri(content: bytes | None) -> str | None:
    """What a WAV file of 16 bits looks like, as a PNG data URI; None for other files.

    Time goes to the right and pitch upwards, linearly up to half the sample rate; the loudest 60 dB
    are shown. It stands in print for what cannot be heard there.
    """
    if content is None or not content.startswith(b"RIFF"):
        return None
    try:
        with wave.open(io.BytesIO(content)) as file:
            if file.getsampwidth() != 2:
                return None
            heard = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
            samples = heard.reshape(-1, file.getnchannels()).mean(axis=1)
    except (wave.Error, EOFError, ValueError):
        return None
    if len(samples) < 512:
        return None
    _, _, power = signal.spectrogram(samples, nperseg=256, noverlap=128)
    level = 10 * np.log10(power + 1e-12)
    shown = np.clip((level - level.max()) / _DECIBELS + 1, 0, 1)[::-1]
    picture = Image.fromarray(shade(shown))
    picture = picture.resize((_STEPS, _BANDS), Image.Resampling.BILINEAR)
    png = io.BytesIO()
    picture.save(png, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()


def shown(medium: Medium) -> dict[str, str | None]:
    """A medium as the page needs it: picture, sound, words, and what to say where it is absent."""
    picture = sound = None
    absent = ""
    if medium.kind in ("image", "satellite"):
        picture = data_uri(medium.content)
        absent = "" if picture else "no picture"
    elif medium.kind == "sound":
        sound, picture = sound_uri(medium.content), spectrogram_uri(medium.content)
        absent = "" if sound else "no sound, or too long for the page"
    return {
        "kind": medium.kind,
        "caption": medium.caption,
        "text": medium.text,
        "picture": picture,
        "sound": sound,
        "absent": absent,
    }
