import io

import numpy as np
import PIL
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from open_clip.transform import image_transform
from PIL import Image
from torchvision import transforms

from fakes import ugly_pictures
from syntype.data.geometry import fit
from syntype.data.media import prepare
from syntype.data.preprocess import Preprocess

LEVELS = 0.01  # of 255, the mean absolute difference that is allowed
PILLOW_13 = int(PIL.__version__.split(".")[0]) >= 13
FILTERS = {
    "bicubic": transforms.InterpolationMode.BICUBIC,
    "bilinear": transforms.InterpolationMode.BILINEAR,
}
RESIZE_MODES = {"crop": "shortest", "squash": "squash", "pad": "longest"}

# Odd, even, smaller and larger than 224, portrait and landscape, equal, and on both sides of the
# ratio at which the crop is folded into the resize.
SIZES = [
    (1, 1), (2, 1), (17, 31), (100, 100), (223, 224), (224, 224), (224, 225), (225, 223),
    (300, 200), (301, 200), (199, 300), (333, 500), (500, 333), (500, 375), (375, 500),
    (448, 224), (112, 336), (895, 224), (896, 224), (897, 224), (224, 897), (1001, 37), (31, 640),
    (226, 678), (258, 44), (44, 258), (14, 525), (401, 3), (3, 401),
]  # fmt: skip


def open_clip_pixels(image: Image.Image, preprocess: Preprocess) -> np.ndarray:
    """open_clip's evaluation transform, or timm's way with `resize_to`, without normalisation."""
    steps = image_transform(
        preprocess.size,
        is_train=False,
        resize_mode=RESIZE_MODES[preprocess.fit],
        interpolation=preprocess.interpolation,
        fill_color=preprocess.fill,
    ).transforms[:-2]
    if preprocess.resize_to:
        filter_ = FILTERS[preprocess.interpolation]
        steps = [
            transforms.Resize(preprocess.resize_to, filter_),
            transforms.CenterCrop(preprocess.size),
        ]
    return np.array(transforms.Compose(steps)(image)).transpose(2, 0, 1)


def old_pillow_goes_another_way(width: int, height: int) -> bool:
    """Before version 13, Pillow resized tall pictures horizontally first."""
    return not PILLOW_13 and height > width


def assert_equal_pixels(image: Image.Image, preprocess: Preprocess) -> None:
    ours = fit(np.array(image), preprocess)
    theirs = open_clip_pixels(image, preprocess)
    assert ours.shape == theirs.shape == (3, preprocess.size, preprocess.size)
    assert ours.flags.c_contiguous
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 2
    assert difference.mean() <= LEVELS


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_crop_is_open_clips(size, interpolation):
    if old_pillow_goes_another_way(*size):
        pytest.skip("another order of passes in this Pillow")
    image = ugly_pictures.photograph(*size)
    assert_equal_pixels(image, Preprocess(size=224, interpolation=interpolation))


@pytest.mark.parametrize("size", [size for size in SIZES if max(size) < 100 * min(size)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("kind", ["squash", "pad"])
def test_squash_and_pad_are_open_clips(size, interpolation, kind):
    if old_pillow_goes_another_way(*size):
        pytest.skip("another order of passes in this Pillow")
    image = ugly_pictures.photograph(*size)
    preprocess = Preprocess(size=97, fit=kind, interpolation=interpolation, fill=127)
    assert_equal_pixels(image, preprocess)


@pytest.mark.parametrize("resize_to", [256, 249, 200])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (640, 481), (1001, 90)])
def test_resize_to_is_torchvisions(size, resize_to):
    if old_pillow_goes_another_way(*size):
        pytest.skip("another order of passes in this Pillow")
    image = ugly_pictures.photograph(*size)
    for interpolation in FILTERS:
        preprocess = Preprocess(size=224, resize_to=resize_to, interpolation=interpolation)
        assert_equal_pixels(image, preprocess)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(5, 600),
    height=st.integers(5, 600),
    size=st.integers(8, 240),
    kind=st.sampled_from(["crop", "squash", "pad"]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
def test_any_size_is_open_clips_within_a_level_or_two(width, height, size, kind, interpolation):
    assume(not old_pillow_goes_another_way(width, height))
    # Beyond this ratio open_clip's padding fails: the short side would have no pixels.
    assume(kind != "pad" or max(width, height) <= size * min(width, height))
    image = ugly_pictures.photograph(width, height, seed=width)
    preprocess = Preprocess(size=size, fit=kind, interpolation=interpolation)
    ours = fit(np.array(image), preprocess).astype(int)
    difference = np.abs(ours - open_clip_pixels(image, preprocess))
    assert difference.max() <= 3
    # Of a small target every pixel is a large share, so the mean is given some room here.
    assert difference.mean() <= 3 * LEVELS


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (2, 9999), (60_000, 1)])
def test_extreme_ratios_need_little_memory_and_keep_the_middle(size):
    width, height = size
    ramp = np.linspace(0, 255, max(size)).astype(np.uint8)
    pixels = np.repeat(ramp[:, None, None] if height > width else ramp[None, :, None], 3, axis=2)
    pixels = np.repeat(pixels, min(size), axis=1 if height > width else 0)
    for kind in ("crop", "squash", "pad"):
        fitted = fit(np.ascontiguousarray(pixels), Preprocess(size=224, fit=kind))
        assert fitted.shape == (3, 224, 224)
    cropped = fit(np.ascontiguousarray(pixels), Preprocess(size=224))
    assert np.abs(cropped.astype(int) - 127).max() <= 2


def test_padding_has_the_fill_and_nothing_else():
    white = np.full((10, 20, 3), 255, np.uint8)
    padded = fit(white, Preprocess(size=40, fit="pad", fill=7))
    assert (padded[:, 10:30] == 255).all()
    assert (padded[:, :10] == 7).all()
    assert (padded[:, 30:] == 7).all()


def test_prepare_is_open_clips_from_the_bytes_on():
    preprocess = Preprocess(size=224)
    for width, height in ((1000, 750), (500, 375), (333, 250)):
        content = ugly_pictures.jpeg(width, height)
        expected = open_clip_pixels(Image.open(io.BytesIO(content)), preprocess)
        difference = np.abs(prepare(content, preprocess).astype(int) - expected)
        assert difference.mean() <= LEVELS


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["fish_f4k", "plankton_ndsb", "birds_opennature_cc0"])
def test_real_pictures_are_open_clips(real_data, name):
    folder = real_data(name)
    paths = sorted(
        path for path in folder.rglob("*") if path.suffix in {".jpg", ".jpeg", ".png", ".webp"}
    )
    assert paths
    preprocess = Preprocess(size=224)
    means = []
    for path in paths[:: max(1, len(paths) // 12)]:
        content = path.read_bytes()
        image = Image.open(io.BytesIO(content))
        if image.getexif().get(0x0112, 1) != 1 or old_pillow_goes_another_way(*image.size):
            continue
        expected = open_clip_pixels(image.convert("RGB"), preprocess)
        means.append(np.abs(prepare(content, preprocess).astype(int) - expected).mean())
    assert max(means) <= 2 * LEVELS
    assert np.mean(means) <= LEVELS
