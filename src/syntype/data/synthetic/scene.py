"""One picture: background, shadow, animal, light, lens; everything that is not the species.

Pose, scale, place, exposure, colour of the light, focus and grain are the nuisance: they belong
to the shot (some to the specimen) and are drawn from the same laws for all species.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from syntype.data.synthetic import bird, butterfly, fish
from syntype.data.synthetic.backgrounds import (
    Place,
    cast_shadow,
    leaf_below,
    paint_background,
    perch,
    vignette,
)
from syntype.data.synthetic.canvas import Frame, Layer, Planes, blur, picture_frame
from syntype.data.synthetic.look import Look
from syntype.data.synthetic.modes import Mode

_DRAW = {"Fish": fish.draw, "Butterfly": butterfly.draw, "Bird": bird.draw}
# Length of the animal as a share of the picture's side, by view; the young are smaller.
_SCALE = {"lateral": 0.90, "dorsal": 0.90, "folded": 0.92, "perched": 0.86, "in flight": 0.92}


@dataclass(frozen=True)
class _Pose:
    x: float
    y: float
    angle: float
    scale: float
    flip: bool
    bend: float


def _pose(mode: Mode, look: Look, nuisance: float, shot: np.random.Generator) -> _Pose:
    x, y, turn, size, bend = (float(value) for value in shot.normal(size=5) * nuisance)
    view = mode.view.removesuffix(" left").removesuffix(" right")
    free = view in {"dorsal", "in flight"} or view == "lateral"
    still = 0.35 if mode.background == "drawer" else 1.0
    angle = still * turn * (0.16 if free else 0.07)
    if mode.life_stage == "larva":
        angle *= 0.3
    scale = _SCALE[view] * float(np.exp(0.07 * np.clip(size, -2, 2)))
    scale *= 0.86 if look.young and mode.life_stage != "larva" else 1.0
    return _Pose(
        x=0.03 * float(np.clip(x, -2, 2)),
        y=0.03 * float(np.clip(y, -2, 2)),
        angle=angle,
        scale=scale,
        flip=mode.view.endswith("left"),
        bend=float(np.clip(0.6 * bend, -1.2, 1.2)),
    )


def _behind(mode: Mode, pose: _Pose, place: Place) -> Planes:
    scene = paint_background(mode.background, place)
    if mode.view.startswith("perched"):
        return perch(scene, place, pose.y + bird.FEET * pose.scale)
    if mode.background == "drawer":
        return scene
    if mode.view.startswith("folded"):
        return leaf_below(scene, place, pose.y + 0.30 * pose.scale)
    if mode.life_stage == "larva":
        return leaf_below(scene, place, pose.y + 0.11 * pose.scale)
    return scene


def _under_water(layer: Layer, nuisance: float, shot: np.random.Generator) -> Layer:
    """The animal seen through more or less clear water."""
    share = 0.14 + nuisance * float(shot.uniform(-0.08, 0.26))
    haze = np.array([0.16, 0.45, 0.60], dtype=np.float32)[:, None, None] * layer.alpha
    return Layer(layer.colour + (haze - layer.colour) * np.float32(max(share, 0.0)), layer.alpha)


def _through_lens(
    scene: Planes, frame: Frame, mode: Mode, nuisance: float, shot: np.random.Generator
) -> Planes:
    """Light, focus and grain."""
    exposure, warmth, x, y, focus = (float(value) for value in shot.normal(size=5) * nuisance)
    spread = 0.06 if mode.background == "drawer" else 0.13
    gain = float(np.exp(spread * np.clip(exposure, -2, 2)))
    tint = np.array([1 + 0.035 * warmth, 1.0, 1 - 0.035 * warmth], dtype=np.float32)
    falloff = 0.10 if mode.background == "drawer" else 0.22
    light = vignette(frame, falloff, 0.15 * x, 0.15 * y - 0.1) * np.float32(gain)
    scene = scene * light * tint[:, None, None]
    if focus > 0.8:
        radius = 0.0035 * min(focus, 2.0)
        scene = np.stack([blur(plane, radius) for plane in scene])
    size = scene.shape[-1]
    grain = shot.standard_normal((size, size)).astype(np.float32) * np.float32(0.010 * nuisance)
    return scene + grain


def paint(
    look: Look,
    mode: Mode,
    group: str,
    *,
    size: int,
    nuisance: float,
    specimen: np.random.Generator,
    shot: np.random.Generator,
) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of one specimen.

    Args:
        look: The specimen.
        mode: View and background.
        group: Body plan: Fish, Butterfly or Bird.
        size: Side of the picture, pixels.
        nuisance: Strength of pose, light, focus and background changes.
        specimen: Generator of what its shots share.
        shot: Generator of what this shot has of its own.
    """
    frame = picture_frame(size)
    pose = _pose(mode, look, nuisance, shot)
    scene = _behind(mode, pose, Place(frame, specimen, shot, nuisance))
    layer = Layer.empty(size)
    own = frame.placed(x=pose.x, y=pose.y, angle=pose.angle, scale=pose.scale, flip=pose.flip)
    _DRAW[group](layer, own, look, mode.view, pose.bend)
    if mode.background in {"reef", "open water"}:
        layer = _under_water(layer, nuisance, shot)
    scene = layer.over(cast_shadow(scene, layer.alpha, mode.background))
    scene = _through_lens(scene, frame, mode, nuisance, shot)
    return np.ascontiguousarray(
        (np.clip(scene, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    )
