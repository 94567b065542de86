"""Sounds made by code: tones, clicks and noise as files of any format, broken in every way."""

import csv
import io
from pathlib import Path

import numpy as np
import soundfile

BREAKS = {
    "empty": b"",
    "text": b"this is no sound " * 20,
    "stub": b"RIFF",
}


def tone(hertz=1000.0, seconds=1.0, rate=48_000, level=0.3, seed=None):
    """A tone, with noise 40 dB below it where a seed is given."""
    time = np.arange(round(seconds * rate)) / rate
    samples = level * np.sin(2 * np.pi * hertz * time)
    if seed is not None:
        samples += level / 100 * np.random.default_rng(seed).standard_normal(len(time))
    return samples.astype(np.float32)


def encoded(samples, rate=48_000, kind="WAV", subtype=None):
    """The bytes of a sound file; channels are the second axis."""
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format=kind, subtype=subtype)
    return content.getvalue()


def write_folder(folder: Path, n_each=2, seconds=0.3, rate=16_000):
    """A folder as the small real sets are: audio/ and labels.csv, with places and folds."""
    (folder / "audio").mkdir(parents=True)
    rows = []
    pitches = {"Strix aluco": 500, "Turdus merula": 2000, "Turdus iliacus": 4000}
    for label, hertz in pitches.items():
        for number in range(n_each):
            name = f"audio/{label.split()[1]}-{number}.flac"
            samples = tone(hertz * (1 + 0.02 * number), seconds, rate, seed=number)
            (folder / name).write_bytes(encoded(samples, rate, "FLAC"))
            rows.append(
                {
                    "path": name,
                    "label": label,
                    "taxon_group": "bird",
                    "fold": str(number % 2 + 1),
                    "latitude": f"{50 + number}",
                    "longitude": "" if number else "-3.5",
                    "country": "Wales",
                    "license": "CC0",
                }
            )
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows
