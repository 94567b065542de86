"""What a species sounds like: syllables that glide, in a rhythm and with overtones of its own.

A song is a motif of one to four kinds of syllables, repeated. Each kind has a pitch, a glide and a
bend; the species has a tempo, overtones, a vibrato and a beat within its syllables. All of these
are inherited: by Brownian motion along the tree (`phylogeny.drift`), a fifth of it the species' own
voice traits, which are more labile; each body plan sings in its own register and manner:

    Fish         drums and grunts, 120 to 650 Hz, a slow beat, many overtones
    Butterfly    chirps, 2.5 to 6 kHz, a fast beat, hardly a glide
    Bird         whistles and trills, 1.1 to 4.5 kHz, wide glides, a vibrato

An individual sings a little higher or faster than its species, a take is nearer or farther, in more
or less wind (pink noise) and echo.
"""

import io
import wave
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32
from scipy.signal import lfilter

from syntype.data.synthetic.traits import Traits, ranged

N_KINDS = 4
N_TRAITS = 9 + 4 * N_KINDS
"""Values that `voice_of` wants of each species, about N(0, 1)."""
_LABILE = 0.2
_LOWEST_SNR, _HIGHEST_SNR = 6.0, 26.0  # dB

Wave = Float32[np.ndarray, "t"]


@dataclass(frozen=True)
class _Register:
    """Within which bounds a body plan sings."""

    hertz: tuple[float, float]
    syllables_per_second: tuple[float, float]
    glide: float  # octaves at most, to either side
    apart: float  # octaves between the kinds of syllables at most
    beat: tuple[float, float]  # Hz
    beat_depth: tuple[float, float]
    overtones: tuple[float, float]  # how much of each is left in the next
    breath: tuple[float, float]  # share of noise


_REGISTERS = {
    "Fish": _Register(
        (120.0, 650.0), (1.5, 6.0), 0.5, 0.7, (14.0, 60.0), (0.6, 1.0), (0.45, 0.8), (0.1, 0.5)
    ),
    "Butterfly": _Register(
        (2500.0, 6000.0),
        (3.0, 14.0),
        0.15,
        0.4,
        (50.0, 160.0),
        (0.5, 1.0),
        (0.02, 0.2),
        (0.1, 0.45),
    ),
    "Bird": _Register(
        (1100.0, 4500.0), (2.0, 11.0), 1.0, 1.0, (8.0, 40.0), (0.0, 0.6), (0.02, 0.35), (0.0, 0.15)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Syllable:
    """One kind of syllable.

    Attributes:
        pitch: Octaves above the song's.
        glide: Octaves from start to end.
        bend: Octaves by which its middle is higher.
        length: Share of the time until the next one.
    """

    pitch: float
    glide: float
    bend: float
    length: float


@dataclass(frozen=True, kw_only=True)
class Voice:
    """One species' song.

    Attributes:
        hertz: Pitch.
        tempo: Syllables per second.
        motif: The syllables that are repeated.
        rest: Pause after the motif, in syllables.
        beat: Frequency of the beat within syllables, Hz.
        beat_depth: 0 none to 1 down to silence.
        vibrato: Depth of the vibrato, octaves.
        overtones: Share of each partial's height in the next one.
        breath: Share of noise.
    """

    hertz: float
    tempo: float
    motif: tuple[Syllable, ...]
    rest: int
    beat: float
    beat_depth: float
    vibrato: float
    overtones: float
    breath: float


def voice_of(group: str, traits: Traits, inherited: Float[np.ndarray, "values"]) -> Voice:
    """The song of a species.

    Args:
        group: Its body plan: Fish, Butterfly or Bird.
        traits: The species' own voice.
        inherited: `N_TRAITS` values by Brownian motion.
    """
    register = _REGISTERS[group]
    own = (
        traits.voice_pitch,
        traits.voice_tempo,
        traits.voice_sweep,
        traits.voice_syllables,
        traits.voice_purity,
    )
    values = np.array(inherited, dtype=np.float64)
    values[:5] = np.sqrt(1 - _LABILE) * values[:5] + np.sqrt(_LABILE) * np.array(own)
    pitch, tempo, sweep, number, purity, beat, depth, rest, vibrato = values[:9].tolist()
    kinds = [
        Syllable(
            pitch=ranged(one[0], -register.apart, register.apart) if place else 0.0,
            glide=ranged(0.8 * one[1] + 0.6 * sweep, -register.glide, register.glide),
            bend=ranged(one[2], -register.glide / 2, register.glide / 2),
            length=ranged(one[3], 0.35, 0.9),
        )
        for place, one in enumerate(values[9:].reshape(N_KINDS, 4).tolist())
    ]
    n_kinds = int(ranged(number, 1.0, N_KINDS + 0.99))
    low, high = np.log(register.hertz)
    return Voice(
        hertz=float(np.exp(ranged(pitch, low, high))),
        tempo=float(np.exp(ranged(tempo, *np.log(register.syllables_per_second)))),
        motif=tuple(kinds[:n_kinds]),
        rest=int(ranged(rest, 0.0, 2.99)),
        beat=float(np.exp(ranged(beat, *np.log(register.beat)))),
        beat_depth=ranged(depth, *register.beat_depth),
        vibrato=ranged(vibrato, 0.0, 0.06),
        overtones=ranged(-purity, *register.overtones),
        breath=ranged(-purity, *register.breath),
    )


def sing(
    voice: Voice,
    *,
    seconds: float,
    rate: int,
    individual: np.random.Generator,
    take: np.random.Generator,
) -> Wave:
    """A recording, mono, in [-1, 1].

    Args:
        voice: The species' song.
        seconds: Length.
        rate: Samples per second.
        individual: Generator of what all takes of an individual share.
        take: Generator of what this one has of its own.
    """
    higher, faster, longer = individual.normal(size=3)
    hertz = voice.hertz * 2 ** (0.07 * higher)
    period = 1 / (voice.tempo * 2 ** (0.12 * faster))
    sound = np.zeros(round(seconds * rate), dtype=np.float64)
    when = float(take.uniform(0, min(0.4, seconds / 4)))
    number = 0
    while when < seconds:
        place = number % (len(voice.motif) + voice.rest)
        if place < len(voice.motif):
            kind = voice.motif[place]
            length = period * float(np.clip(kind.length * (1 + 0.08 * longer), 0.2, 0.95))
            note = _syllable(voice, kind, hertz * 2 ** (0.015 * take.normal()), length, rate, take)
            start = round(when * rate)
            sound[start : start + len(note)] += note[: len(sound) - start]
        when += period * (1 + 0.03 * float(take.normal()))
        number += 1
    return _recorded(sound, rate, take)


def _syllable(
    voice: Voice,
    kind: Syllable,
    hertz: float,
    length: float,
    rate: int,
    take: np.random.Generator,
) -> Float[np.ndarray, "t"]:
    """One syllable: partials of a gliding pitch under an envelope, and noise with them."""
    n = max(8, round(length * rate))
    t = np.arange(n) / rate
    share = np.arange(n) / n
    octaves = kind.pitch + kind.glide * (share - 0.5) + kind.bend * (1 - (2 * share - 1) ** 2)
    octaves = octaves + voice.vibrato * np.sin(2 * np.pi * 28 * t)
    frequency = hertz * 2.0**octaves
    phase = 2 * np.pi * np.cumsum(frequency) / rate
    # What lies above half the rate, or near it, would come back as another pitch.
    audible = np.clip((0.47 * rate - frequency) / (0.04 * rate), 0, 1)
    tone = audible * np.sin(phase)
    height, partial = voice.overtones, 2
    while height > 0.02 and partial * frequency.min() < 0.47 * rate:
        there = np.clip((0.47 * rate - partial * frequency) / (0.04 * rate), 0, 1)
        tone += height * there * np.sin(partial * phase)
        height, partial = height * voice.overtones, partial + 1
    # Noise around the pitch: its partner in the ring modulation is slow noise.
    slow = lfilter([0.08], [1, -0.92], take.standard_normal(n))
    tone = (1 - voice.breath) * tone + voice.breath * 4 * slow * np.sin(phase)
    beat = 1 - voice.beat_depth * (0.5 - 0.5 * np.cos(2 * np.pi * voice.beat * t)) ** 0.7
    envelope = np.minimum(1, np.minimum(share, 1 - share) / 0.18)
    found: np.ndarray = tone * beat * envelope**2 * (3 - 2 * envelope)
    return found


def _recorded(sound: Float[np.ndarray, "t"], rate: int, take: np.random.Generator) -> Wave:
    """The sound as a recorder in the field has it: farther or nearer, with echo and wind."""
    near = float(take.uniform(0, 1))
    # Air takes the high notes of what is far: a filter of one pole.
    keep = 0.55 * (1 - near)
    heard = lfilter([1 - keep], [1, -keep], sound)
    for _ in range(3):
        delay = int(take.uniform(0.02, 0.12) * rate)
        share = 0.22 * (1 - near) * float(take.uniform(0.3, 1))
        heard[delay:] = heard[delay:] + share * heard[: len(heard) - delay]
    level = float(np.sqrt(np.mean(heard**2))) + 1e-9
    wind = _pink(len(heard), take)
    wind *= level / 10 ** ((_LOWEST_SNR + (_HIGHEST_SNR - _LOWEST_SNR) * near) / 20)
    mixed = heard + wind
    mixed *= float(take.uniform(0.35, 0.95)) / np.abs(mixed).max()
    return mixed.astype(np.float32)


def _pink(n: int, rng: np.random.Generator) -> Float[np.ndarray, "t"]:
    """Noise of deviation 1 whose power falls by 3 dB an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    noise = np.fft.irfft(spectrum, n)
    found: np.ndarray = noise / noise.std()
    return found


def wav_bytes(sound: Wave, rate: int) -> bytes:
    """A WAV file of 16 bits, mono."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(sound * 32767).astype("<i2").tobytes())
    return content.getvalue()
