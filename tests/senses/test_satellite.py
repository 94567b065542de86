import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize
from torchvision import transforms

from fakes.towers import write_clip_vision
from syntype.encoders.load import load_encoder
from syntype.encoders.spec import parse_spec
from syntype.errors import MediaError, UnknownEncoderError, UsageError, WeightsError
from syntype.senses import satellite

CPU = torch.device("cpu")


def load(folder, options=""):
    return satellite.load(parse_spec(f"clip-vision:{folder}{options}"), CPU)


@pytest.fixture(scope="module")
def eyes(tmp_path_factory):
    root = tmp_path_factory.mktemp("clip")
    models = {
        "ecosat": write_clip_vision(root / "ecosat"),
        "both": write_clip_vision(root / "both", whole=True),
    }
    return root, models


def tile(height=256, width=256, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def as_published(pixels, size):
    """TaxaBind's preparation, by torchvision; 64 is to 56 as 256 to 224."""
    steps = [
        transforms.Resize((size * 256 // 224, size * 256 // 224)),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    return transforms.Compose(steps)(Image.fromarray(pixels))[None]


@pytest.mark.parametrize("kind", ["ecosat", "both"])
@pytest.mark.parametrize("shape", [(256, 256), (128, 128), (200, 300)])
def test_vectors_are_those_of_the_library(eyes, kind, shape):
    root, models = eyes
    pixels = tile(*shape)
    images = as_published(pixels, 56)
    sense = load(root / kind)
    (own,) = sense.prepare([pixels])
    assert (own - images).abs().mean() < 0.01  # a level of 255 is 0.017
    with torch.inference_mode():
        model = models[kind]
        pooled = model.vision_model(pixel_values=own).pooler_output
        expected = normalize(model.visual_projection(pooled))
    torch.testing.assert_close(sense.encode([pixels]), expected, atol=1e-5, rtol=0)
    assert (sense.modality, sense.dim) == ("satellite", 24)


def test_the_sizes_of_taxabind():
    looking = satellite.taxabind_looking()
    assert (looking.resized.size, looking.size, looking.resized.fit) == (256, 224, "squash")
    assert satellite.taxabind_looking(32).resized.size == 37
    assert satellite.taxabind_looking(56, 56)([tile()])[0].shape == (1, 3, 56, 56)
    with pytest.raises(UsageError, match="cannot be cut out"):
        satellite.taxabind_looking(56, 40)


def test_bytes_and_pixels_are_one_tile(eyes):
    sense = load(eyes[0] / "ecosat")
    content = io.BytesIO()
    Image.fromarray(tile()).save(content, "PNG")
    torch.testing.assert_close(sense.encode([content.getvalue()]), sense.encode([tile()]))
    with pytest.raises(MediaError, match="tile 1: the file is empty"):
        sense.encode([tile(), b""])


def test_another_margin_is_another_sense(eyes):
    folder = eyes[0] / "ecosat"
    assert load(folder, "?resize=60").key != load(folder).key
    assert load(folder).preparation["resized"]["mean"] == [0.485, 0.456, 0.406]


def test_partial_weights_are_refused(eyes, tmp_path):
    folder = shutil.copytree(eyes[0] / "ecosat", tmp_path / "ecosat")
    path = folder / "model.safetensors"
    state = load_file(path)
    gone = "visual_projection.weight"
    save_file({key: value for key, value in state.items() if key != gone}, path)
    with pytest.raises(WeightsError, match=f"missing: model.{gone}"):
        load(folder)
    save_file({**state, gone: torch.full_like(state[gone], torch.inf)}, path)
    with pytest.raises(WeightsError, match="NaN or infinite"):
        load(folder)


def test_a_model_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(UnknownEncoderError, match="satellite:ENCODER"):
        load(tmp_path)


def test_any_picture_encoder_looks_at_tiles():
    spec = "satellite:untrained:resnet10t?size=32&seed=1"
    sense = satellite.load_picture_encoder(parse_spec(spec), CPU)
    encoder = load_encoder("untrained:resnet10t?size=32&seed=1", "cpu")
    assert (sense.dim, sense.weights) == (encoder.dim, encoder.weights)
    assert sense.name == "satellite:untrained:resnet10t?seed=1&size=32"
    content = io.BytesIO()
    Image.fromarray(tile()).save(content, "PNG")
    from syntype.data.media import prepare

    images = torch.from_numpy(prepare(content.getvalue(), encoder.preprocess))[None]
    torch.testing.assert_close(sense.encode([tile()]), encoder.encode(images))
    assert satellite.from_encoder(encoder).key == sense.key
    with pytest.raises(UnknownEncoderError, match="satellite:descriptors"):
        satellite.load_picture_encoder(parse_spec("satellite"), CPU)


@pytest.mark.real_data
def test_real_tiles_have_vectors(real_data):
    from syntype.senses.tiles import Tiles

    tiles = Tiles.of_index(real_data("geo_sat_glc") / "labels.csv")
    sense = satellite.load_picture_encoder(parse_spec("satellite:descriptors"), CPU)
    rows = [*range(4), *range(len(tiles) - 4, len(tiles))]
    vectors = sense.encode([tiles.read(row) for row in rows])
    assert vectors.shape == (8, sense.dim)
    assert torch.isfinite(vectors).all()
