"""The painter's tools do what their geometry says."""

import numpy as np
import pytest

from syntype.data.synthetic.canvas import (
    Curve,
    Layer,
    blur,
    cover,
    ellipse,
    join,
    mix,
    picture_frame,
    ramp,
    rod,
    soft_noise,
)


@pytest.mark.parametrize("size", [64, 128])
def test_the_cover_of_an_ellipse_has_its_area(size):
    frame = picture_frame(size)
    share = cover(ellipse(frame.x, frame.y, 0.3, 0.2), frame.px)
    assert share.mean() == pytest.approx(np.pi * 0.3 * 0.2, rel=0.01)
    assert ((share > 0) & (share < 1)).any()


def test_a_rod_is_a_box_with_round_ends():
    frame = picture_frame(256)
    share = cover(rod(frame.x, frame.y, (-0.2, 0.1), (0.2, 0.1), 0.05, 0.05), frame.px)
    assert share.mean() == pytest.approx(0.4 * 0.1 + np.pi * 0.05**2, rel=0.01)


def test_placing_moves_turns_scales_and_flips():
    frame = picture_frame(128)
    own = frame.placed(x=0.1, y=-0.2, angle=0.5, scale=0.5)
    share = cover(ellipse(own.x, own.y, 0.4, 0.1), own.px)
    assert share.mean() == pytest.approx(np.pi * 0.4 * 0.1 * 0.25, rel=0.02)
    assert (share * frame.x).sum() / share.sum() == pytest.approx(0.1, abs=0.002)
    assert (share * frame.y).sum() / share.sum() == pytest.approx(-0.2, abs=0.002)
    flipped = frame.placed(flip=True)
    assert np.allclose(flipped.x, -frame.x)
    assert np.allclose(flipped.y, frame.y)


def test_a_curve_keeps_to_straight_points_and_rounds_corners():
    straight = Curve.through([0.0, 0.5, 1.0], [0.0, 1.0, 2.0])
    t = np.linspace(0, 1, 33, dtype=np.float32)
    assert np.allclose(straight(t), 2 * t, atol=1e-3)
    assert np.allclose(straight.slope(t), 2, atol=1e-3)
    corner = Curve.through([0.0, 0.5, 1.0], [0.0, 1.0, 0.0])
    assert float(corner(np.array([0.5], dtype=np.float32))[0]) < 0.97
    beyond = np.array([-1, 2], dtype=np.float32)
    assert np.allclose(corner(beyond), [corner.table[0], corner.table[-1]], atol=1e-2)


def test_a_join_is_no_smaller_than_the_union():
    frame = picture_frame(64)
    a = np.hypot(frame.x - np.float32(0.1), frame.y) - np.float32(0.15)
    b = np.hypot(frame.x + np.float32(0.1), frame.y) - np.float32(0.15)
    both = join(a, b, 0.1)
    assert (both <= np.minimum(a, b) + 1e-6).all()
    assert (both < np.minimum(a, b) - 1e-3).any()


def test_layers_compose_and_mixes_interpolate():
    red, blue = np.array([1, 0, 0], np.float32), np.array([0, 0, 1], np.float32)
    half = np.full((4, 4), 0.5, dtype=np.float32)
    layer = Layer.empty(4)
    layer.paint(red, half)
    shown = layer.over(np.broadcast_to(blue[:, None, None], (3, 4, 4)))
    assert np.allclose(shown[:, 0, 0], [0.5, 0, 0.5])
    assert np.allclose(mix(red, blue, 0.25), [0.75, 0, 0.25])
    assert np.allclose(mix(red, blue, half), shown)
    assert np.allclose(mix(shown, blue, half)[:, 1, 1], [0.25, 0, 0.75])
    assert np.allclose(shown[:, 0, 0], [0.5, 0, 0.5]), "mixing must not write into its inputs"


def test_ramps_rise_and_fall():
    t = np.linspace(-1, 2, 16, dtype=np.float32).reshape(4, 4)
    assert np.allclose(ramp(t, 0.0, 1.0) + ramp(t, 1.0, 0.0), 1, atol=1e-6)
    assert ramp(t, 0.0, 1.0).ravel()[0] == 0


def test_noise_is_smooth_repeatable_and_standard():
    noise = np.stack([soft_noise(np.random.default_rng(i), 64, 6) for i in range(30)])
    assert (noise[3] == soft_noise(np.random.default_rng(3), 64, 6)).all()
    assert abs(noise.mean()) < 0.15
    assert 0.7 < noise.std() < 1.3
    assert np.abs(np.diff(noise, axis=-1)).max() < 1
    assert blur(noise[0], 0.05).std() < noise[0].std()
