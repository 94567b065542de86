import json
import shutil

import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor

from fakes import models
from syntype.data.preprocess import Preprocess
from syntype.encoders import describe, load_encoder
from syntype.encoders.encoder import require_text
from syntype.errors import EncoderError, UnknownEncoderError, WeightsError


@pytest.fixture
def copied(zoo, tmp_path):
    """Copies a fake, which a test may then spoil."""

    def copy(family):
        return shutil.copytree(zoo[0] / family, tmp_path / family)

    return copy


def set_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def expected_vectors(family, model, pixels):
    """What the documentation of the source says is taken, by the library's own words."""
    if family == "clip":
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        return model.visual_projection(pooled)
    if family == "siglip":
        return model.vision_model(pixel_values=pixels).pooler_output
    output = model(pixel_values=pixels)
    if family.startswith("dino"):
        return output.last_hidden_state[:, 0]
    if family in ("clip_vision_model", "mlcd_vision_model"):
        return model.post_layernorm(output.last_hidden_state[:, 0])
    return output.pooler_output


@pytest.mark.parametrize("family", models.FAMILIES)
def test_vectors_are_the_librarys_own(zoo, pictures, family):
    folder, originals = zoo
    encoder = load_encoder(f"transformers:{folder}/{family}", "cpu")
    pixels = encoder.normalise(pictures(3, 32))
    expected = expected_vectors(family, originals[family], pixels)
    torch.testing.assert_close(encoder.module(pixels), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["dinov2", "siglip"])
def test_a_picture_goes_the_librarys_whole_way(zoo, pictures, family):
    folder, originals = zoo
    encoder = load_encoder(f"transformers:{folder}/{family}", "cpu")
    picture = pictures(1, encoder.preprocess.resize_to or encoder.preprocess.size)
    image = Image.fromarray(picture[0].permute(1, 2, 0).numpy())
    pixels = AutoImageProcessor.from_pretrained(folder / family)(image, return_tensors="pt")
    vectors = expected_vectors(family, originals[family], pixels["pixel_values"])
    edge = (picture.shape[-1] - 32) // 2
    found = encoder.encode(picture[..., edge : edge + 32, edge : edge + 32])
    torch.testing.assert_close(found, torch.nn.functional.normalize(vectors), atol=1e-5, rtol=0)


def test_a_projection_is_taken_where_the_model_has_one(zoo, copied):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder = copied("clip_vision_model")
    config = CLIPVisionConfig.from_pretrained(folder, projection_dim=20)
    models.shake(CLIPVisionModelWithProjection(config)).save_pretrained(folder)
    assert load_encoder(f"transformers:{folder}", "cpu").dim == 20
    assert describe(f"transformers:{folder}").dim == 20


def test_half_precision_on_disk_is_single_in_memory(zoo, copied, pictures):
    folder = copied("dinov2")

    def halve(state):
        state.update({name: tensor.half() for name, tensor in state.items()})

    models.edit_tensors(folder / "model.safetensors", halve)
    set_json(folder / "config.json", dtype="float16")
    encoder = load_encoder(f"transformers:{folder}", "cpu")
    assert {p.dtype for p in encoder.module.parameters()} == {torch.float32}
    whole = load_encoder(f"transformers:{zoo[0]}/dinov2", "cpu")
    assert encoder.weights != whole.weights
    images = pictures(2, 32)
    torch.testing.assert_close(encoder.encode(images), whole.encode(images), atol=5e-3, rtol=0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Preprocess(size=32, resize_to=36)),
        ({"crop_size": 32, "size": 32}, Preprocess(size=32)),
        ({"size": {"height": 32, "width": 32}}, Preprocess(size=32, fit="squash")),
        (
            {"size": {"height": 32, "width": 32}, "do_center_crop": False, "resample": 2},
            Preprocess(size=32, fit="squash", interpolation="bilinear"),
        ),
    ],
)
def test_processors_are_translated(copied, changes, expected):
    folder = copied("dinov2")
    set_json(folder / "preprocessor_config.json", **changes)
    found = load_encoder(f"transformers:{folder}", "cpu").preprocess
    assert (found.mean, found.std) == ((0.48, 0.46, 0.41), (0.27, 0.26, 0.28))
    shape = ("size", "fit", "resize_to", "interpolation")
    assert [getattr(found, part) for part in shape] == [getattr(expected, part) for part in shape]


def test_pictures_that_are_not_normalised_stay_so(copied):
    folder = copied("dinov2")
    set_json(folder / "preprocessor_config.json", do_normalize=False)
    found = load_encoder(f"transformers:{folder}", "cpu").preprocess
    assert (found.mean, found.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"do_resize": False}, "no resizing"),
        ({"do_pad": True, "pad_size": {"height": 40, "width": 40}}, "padding"),
        ({"resample": 1}, "resample"),
        ({"rescale_factor": 1.0}, "another scale"),
        ({"do_rescale": False}, "another scale"),
        ({"crop_size": {"height": 32, "width": 16}}, "a crop of"),
        ({"size": {"height": 40, "width": 40}}, "squashing and then cropping"),
        ({"size": {"height": 40, "width": 32}}, "size"),
        ({"do_center_crop": False}, "without a crop"),
    ],
)
def test_processors_without_an_equal_are_refused(copied, changes, words):
    folder = copied("dinov2")
    set_json(folder / "preprocessor_config.json", **changes)
    with pytest.raises(EncoderError, match=words):
        load_encoder(f"transformers:{folder}", "cpu")


def test_a_model_without_processor_is_refused(copied):
    folder = copied("dinov2")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match=r"no preprocessor_config\.json"):
        load_encoder(f"transformers:{folder}", "cpu")


@pytest.mark.parametrize(
    ("family", "key"),
    [
        ("dinov2", "embeddings.cls_token"),
        ("clip", "visual_projection.weight"),
        ("siglip_vision_model", "head.probe"),
        ("mlcd_vision_model", "class_pos_emb"),
    ],
)
def test_partial_weights_are_refused_by_name(copied, family, key):
    """transformers itself draws them at random and logs a warning."""
    folder = copied(family)

    def drop(state):
        found = [name for name in state if name.endswith(key)]
        assert len(found) == 1
        del state[found[0]]

    models.edit_tensors(folder / "model.safetensors", drop)
    with pytest.raises(WeightsError, match=rf"missing: \S*{key}"):
        load_encoder(f"transformers:{folder}", "cpu")


def test_weights_of_more_than_the_model_are_refused(copied):
    folder = copied("dinov2")
    extra = {"classifier.weight": torch.zeros(3, 32)}
    models.edit_tensors(folder / "model.safetensors", lambda state: state.update(extra))
    with pytest.raises(WeightsError, match=r"unexpected: classifier\.weight"):
        load_encoder(f"transformers:{folder}", "cpu")


def test_weights_of_another_shape_are_refused(copied):
    folder = copied("dinov2")
    set_json(folder / "config.json", image_size=64)
    with pytest.raises(WeightsError, match=r"position_embeddings|fit"):
        load_encoder(f"transformers:{folder}", "cpu")


def test_truncated_and_absent_weights_are_refused(copied):
    folder = copied("dinov2")
    models.truncate(folder / "model.safetensors")
    with pytest.raises(WeightsError, match="truncated or damaged"):
        load_encoder(f"transformers:{folder}", "cpu")
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="does not hold"):
        load_encoder(f"transformers:{folder}", "cpu")
    assert describe(f"transformers:{folder}").weights == "missing"


@pytest.mark.parametrize("kind", ["siglip2", "bert"])
def test_other_families_are_refused(copied, kind):
    folder = copied("dinov2")
    set_json(folder / "config.json", model_type=kind)
    for call in (load_encoder, describe):
        with pytest.raises(UnknownEncoderError, match=rf"type '{kind}'.*dinov3_vit"):
            call(f"transformers:{folder}")


def test_identity_does_not_hold_the_libraries_defaults(zoo):
    """So that a later version of transformers, with more fields, gives the same identity."""
    config = load_encoder(f"transformers:{zoo[0]}/dinov2", "cpu").architecture["config"]
    assert set(config) == {
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "image_size",
        "patch_size",
    }


def test_without_network_the_message_says_how_to_fetch():
    words = r"hf download facebook/dinov2-base config\.json preprocessor_config\.json model\.safe"
    with pytest.raises(WeightsError, match=words):
        load_encoder("transformers:facebook/dinov2-base", "cpu")


@pytest.mark.parametrize("family", ["clip", "siglip"])
def test_text_towers_are_left_aside_and_the_message_says_what_to_do(zoo, family):
    encoder = load_encoder(f"transformers:{zoo[0]}/{family}", "cpu")
    assert (encoder.logit_scale, encoder.text_identity) == (None, None)
    words = r"no text tower.*--task retrieval.*knn.*few-shot.*or take .*open_clip:"
    with pytest.raises(EncoderError, match=words):
        require_text(encoder)
    with pytest.raises(EncoderError, match=r"words\. Use --cluster\.features image; or take"):
        require_text(encoder, "Use --cluster.features image")
