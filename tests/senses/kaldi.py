"""Kaldi's log-mel spectrogram by its formulas, one frame and one weight at a time, float64."""

import math

import numpy as np


def mel(hertz):
    return 1127.0 * math.log(1 + hertz / 700)


def bank(n_bands=128, rate=16_000, padded=512, low=20.0):
    """Kaldi's triangles, one weight at a time; the frequency at half the rate is in none."""
    step = (mel(rate / 2) - mel(low)) / (n_bands + 1)
    weights = np.zeros((padded // 2 + 1, n_bands))
    for band in range(n_bands):
        left = mel(low) + band * step
        for number in range(padded // 2):
            place = (mel(number * rate / padded) - left) / step
            if 0 < place < 2:
                weights[number, band] = place if place <= 1 else 2 - place
    return weights


def spectrogram(samples, n_bands=128):
    """Kaldi's log-mel spectrogram, frame by frame, by a plain Fourier sum."""
    weights = bank(n_bands)
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / 399) for i in range(400)])
    turn = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512)
    rows = []
    for start in range(0, len(samples) - 399, 160):
        frame = np.asarray(samples[start : start + 400], dtype=np.float64)
        frame = frame - frame.mean()
        pre = frame.copy()
        for i in range(399, 0, -1):
            pre[i] = frame[i] - 0.97 * frame[i - 1]
        pre[0] = frame[0] - 0.97 * frame[0]
        energies = np.abs(turn @ (pre * window)) ** 2 @ weights
        rows.append(np.log(np.maximum(energies, 2.0**-23)))
    return np.array(rows)
