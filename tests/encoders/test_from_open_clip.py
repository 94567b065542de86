import copy
import json
import shutil

import open_clip
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from fakes import models
from syntype.data.preprocess import Preprocess
from syntype.encoders import describe, load_encoder
from syntype.encoders.from_open_clip import _as_trained, _config_of, _tag_config, to_preprocess
from syntype.errors import EncoderError, UnknownEncoderError, WeightsError
from syntype.provenance import canonical_json


@pytest.fixture
def folder(zoo, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(zoo[0] / "open_clip", tmp_path / "copy")


def weights_of(folder):
    return folder / "open_clip_model.safetensors"


def set_config(folder, change):
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def test_vectors_are_the_librarys_own(zoo, pictures):
    folder, originals = zoo
    encoder = load_encoder(f"open_clip:{folder}/open_clip", "cpu")
    pixels = encoder.normalise(pictures(4, 32))
    expected = originals["open_clip"].encode_image(pixels)
    torch.testing.assert_close(encoder.module(pixels), expected, atol=0, rtol=0)


def test_a_picture_goes_the_librarys_whole_way(zoo, pictures):
    """The same file through create_model_and_transforms, transform included."""
    folder, _ = zoo
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}/open_clip")
    encoder = load_encoder(f"open_clip:local-dir:{folder}/open_clip", "cpu")
    picture = pictures(1, 32)
    image = Image.fromarray(picture[0].permute(1, 2, 0).numpy())
    expected = model.eval().encode_image(transform(image)[None], normalize=True)
    torch.testing.assert_close(encoder.encode(picture), expected, atol=1e-5, rtol=0)


def test_texts_are_the_librarys_own_and_share_the_space(zoo):
    folder, originals = zoo
    encoder = load_encoder(f"open_clip:{folder}/open_clip", "cpu")
    texts = ["a photo of Salmo salar.", "Perca"] * 200
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}/open_clip")(texts)
    expected = originals["open_clip"].encode_text(tokens, normalize=True)
    found = encoder.encode_texts(texts)
    assert found.shape == (400, encoder.dim)
    torch.testing.assert_close(found, expected.detach(), atol=1e-6, rtol=0)
    torch.testing.assert_close(encoder.encode_texts(texts), found, atol=0, rtol=0)


def test_the_text_tower_waits_until_it_is_asked(zoo):
    encoder = load_encoder(f"open_clip:{zoo[0]}/open_clip", "cpu")
    assert not any("token_embedding" in name for name in encoder.module.state_dict())
    assert encoder.encode_texts._tower is None
    encoder.encode_texts(["x"])
    assert not list(encoder.encode_texts._tower.module.pair.visual.parameters())


def test_scale_times_cosine_are_the_librarys_logits(zoo, pictures):
    folder, originals = zoo
    encoder = load_encoder(f"open_clip:{folder}/open_clip", "cpu")
    texts = ["a photo of Salmo salar.", "Perca", "Esox lucius"]
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}/open_clip")(texts)
    images, vectors, scale = originals["open_clip"](encoder.normalise(pictures(2, 32)), tokens)
    assert encoder.logit_scale == pytest.approx(float(scale.detach()), rel=1e-6)
    found = encoder.logit_scale * encoder.encode(pictures(2, 32)) @ encoder.encode_texts(texts).T
    torch.testing.assert_close(found, (scale * images @ vectors.T).detach(), atol=1e-5, rtol=1e-5)
    assert encoder.encode_texts._tower is not None


def test_the_scale_needs_no_text_tower_and_may_have_a_dimension(tmp_path):
    """SigLIP's towers, with a bias; some checkpoints store scale and bias as one-element lists."""
    config = copy.deepcopy(models.OPEN_CLIP)
    config["model_cfg"].update(init_logit_bias=-10, nonscalar_logit_scale=True, custom_text=True)
    models.write_json(tmp_path / "open_clip_config.json", config)
    parts = {k: v for k, v in config["model_cfg"].items() if k != "custom_text"}
    model = models.shake(open_clip.model.CustomTextCLIP(**copy.deepcopy(parts)))
    models.save_file(model.state_dict(), weights_of(tmp_path))
    encoder = load_encoder(f"open_clip:{tmp_path}", "cpu")
    assert encoder.encode_texts._tower is None
    assert encoder.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()), rel=1e-6)


def test_the_texts_identity_is_that_of_the_text_tower_alone(zoo, folder):
    encoder = load_encoder(f"open_clip:{zoo[0]}/open_clip", "cpu")
    identity = encoder.text_identity()
    assert canonical_json(identity) == canonical_json(encoder.text_identity())
    path = weights_of(folder)
    models.edit_tensors(path, lambda s: s["visual.proj"].add_(1))
    models.edit_tensors(path, lambda s: s["logit_scale"].add_(1))
    other_pictures = load_encoder(f"open_clip:{folder}", "cpu")
    assert other_pictures.identity != encoder.identity
    assert other_pictures.text_identity() == identity
    models.edit_tensors(path, lambda s: s["ln_final.bias"].add_(1))
    assert load_encoder(f"open_clip:{folder}", "cpu").text_identity() != identity


def test_the_texts_identity_knows_the_tokenizer(zoo, folder):
    """The same weights and architecture, with text that is cleaned in another way."""
    identity = load_encoder(f"open_clip:{zoo[0]}/open_clip", "cpu").text_identity()
    kwargs = {"tokenizer_kwargs": {"clean": "canonicalize"}}
    set_config(folder, lambda c: c["model_cfg"]["text_cfg"].update(kwargs))
    other = load_encoder(f"open_clip:{folder}", "cpu").text_identity()
    assert other["weights"] == identity["weights"]
    assert other["tokens"] != identity["tokens"]


def test_pickled_weights_and_checkpoints_are_the_same_encoder(zoo, tmp_path):
    folder, _ = zoo
    key = load_encoder(f"open_clip:{folder}/open_clip", "cpu").key
    models.write_open_clip(tmp_path / "pickled", pickled=True)
    assert load_encoder(f"open_clip:{tmp_path}/pickled", "cpu").key == key


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"size": 32, "resize_mode": "squash", "interpolation": "bilinear"},
        {"resize_mode": "longest", "fill_color": 7, "mean": [0.5] * 3, "std": [0.5] * 3},
        {"mean": 0.5, "std": 0.25},
        {"interpolation": "random"},
    ],
)
def test_preprocessing_is_that_of_the_librarys_transform(config):
    found = to_preprocess(config, 48)
    merged = {**PreprocessCfg().__dict__, **config, "size": 48}
    steps = {
        type(step).__name__: step
        for step in image_transform_v2(PreprocessCfg(**merged), is_train=False).transforms
    }
    normal = steps["Normalize"]
    triple = lambda value: tuple(value) if isinstance(value, list | tuple) else (value,) * 3  # noqa: E731
    assert (found.mean, found.std) == (triple(normal.mean), triple(normal.std))
    resize = steps.get("Resize") or steps["ResizeKeepRatio"]
    assert found.interpolation == resize.interpolation.value
    assert found.resize_to == 0
    if found.fit == "crop":
        assert resize.size == 48
        assert steps["CenterCrop"].size == (48, 48)
    elif found.fit == "squash":
        assert resize.size == (48, 48)
        assert "CenterCrop" not in steps
    else:
        assert (resize.longest, steps["CenterCropOrPad"].fill) == (1.0, found.fill)


def test_the_towers_size_overrules_the_configs():
    assert to_preprocess({"size": 224}, (32, 32)).size == 32
    with pytest.raises(EncoderError, match="square"):
        to_preprocess({}, (32, 64))


@pytest.mark.parametrize("key", ["visual.proj", "visual.ln_post.bias", "token_embedding.weight"])
def test_partial_weights_are_refused_by_name(folder, key):
    models.edit_tensors(weights_of(folder), lambda state: state.pop(key))
    with pytest.raises(WeightsError, match=key.replace(".", r"\.")):
        load_encoder(f"open_clip:{folder}", "cpu")


def test_weights_of_more_than_the_model_are_refused(folder):
    models.edit_tensors(weights_of(folder), lambda s: s.update(surplus=torch.zeros(1)))
    with pytest.raises(WeightsError, match="surplus"):
        load_encoder(f"open_clip:{folder}", "cpu")


def test_weights_of_another_architecture_are_refused(folder):
    set_config(folder, lambda config: config["model_cfg"]["vision_cfg"].update(layers=3))
    with pytest.raises(WeightsError, match=r"resblocks\.2"):
        load_encoder(f"open_clip:{folder}", "cpu")


def test_position_embeddings_are_never_interpolated_silently(folder):
    """open_clip itself resizes them without a word when the picture size differs."""
    set_config(folder, lambda config: config["model_cfg"]["vision_cfg"].update(image_size=64))
    with pytest.raises(WeightsError, match=r"positional_embedding \(17, 64\) for \(65, 64\)"):
        load_encoder(f"open_clip:{folder}", "cpu")


def test_broken_weights_are_refused(folder):
    models.edit_tensors(weights_of(folder), lambda s: s["visual.proj"].fill_(torch.nan))
    with pytest.raises(WeightsError, match=r"NaN .*visual\.proj"):
        load_encoder(f"open_clip:{folder}", "cpu")
    models.truncate(weights_of(folder))
    with pytest.raises(WeightsError, match="truncated or damaged"):
        load_encoder(f"open_clip:{folder}", "cpu")


def test_a_folder_without_weights_is_never_a_random_model(folder):
    """open_clip itself gives a random model and a log line."""
    weights_of(folder).unlink()
    with pytest.raises(WeightsError, match="lacks what open_clip needs"):
        load_encoder(f"open_clip:{folder}", "cpu")
    assert describe(f"open_clip:{folder}").weights == "missing"


def test_other_json_is_refused(folder):
    set_config(folder, lambda config: config.pop("model_cfg"))
    with pytest.raises(EncoderError, match="no model_cfg"):
        load_encoder(f"open_clip:{folder}", "cpu")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ViT-B-32", "names no weights, and would be random. Add a tag"),
        ("ViT-B32/openai", "no architecture 'ViT-B32'. Did you mean ViT-B-32"),
        ("ViT-B-32/opneai", "no pretrained tag 'opneai'. Did you mean openai"),
        ("hf-hub:bioclip", "organisation/name"),
    ],
)
def test_unknown_names_list_close_ones(name, words):
    for call in (load_encoder, describe):
        with pytest.raises(UnknownEncoderError, match=words):
            call(f"open_clip:{name}")


@pytest.mark.parametrize("tag", ["ViT-B-16/openai", "hf-hub:imageomics/bioclip"])
def test_without_network_the_message_says_how_to_fetch(tag):
    with pytest.raises(WeightsError, match=r"HF_HUB_OFFLINE is set.*hf download \S+/\S+ .*HF_HOME"):
        load_encoder(f"open_clip:{tag}", "cpu")


@pytest.mark.parametrize(
    ("architecture", "tag", "quick"),
    [("ViT-L-14", "openai", True), ("ViT-L-14", "laion2b_s32b_b82k", False)],
)
def test_the_tag_decides_the_activation(architecture, tag, quick):
    """open_clip itself warns and goes on with the wrong activation."""
    config = _as_trained(_config_of(architecture), _tag_config(architecture, tag))
    assert config["quick_gelu"] is quick


@pytest.fixture
def registered(zoo, tmp_path):
    """The fake as an architecture of open_clip's registry, and a checkpoint of its training."""
    from open_clip import factory, pretrained

    name = "fake-ViT"
    factory._MODEL_CONFIGS[name] = copy.deepcopy(models.OPEN_CLIP["model_cfg"])
    own = {"url": "", "hf_hub": "org/x/", "resize_mode": "squash", "quick_gelu": True}
    pretrained._PRETRAINED[name] = {"first": own}
    state = {f"module.{k}": v for k, v in zoo[1]["open_clip"].state_dict().items()}
    torch.save({"epoch": 2, "name": "run", "state_dict": state}, tmp_path / "epoch_2.pt")
    yield name, tmp_path / "epoch_2.pt", pretrained._PRETRAINED[name]
    del factory._MODEL_CONFIGS[name], pretrained._PRETRAINED[name]


def test_training_checkpoints_are_loaded(registered, zoo, pictures):
    name, path, _ = registered
    encoder = load_encoder(f"open_clip:{name}@{path}", "cpu")
    assert encoder.preprocess.fit == "squash"
    pixels = encoder.normalise(pictures(2, 32))
    torch.testing.assert_close(encoder.module(pixels), zoo[1]["open_clip"].encode_image(pixels))
    quick = load_encoder(f"open_clip:{name}@{path}?like=first", "cpu")
    assert quick.architecture["quick_gelu"]
    assert not torch.allclose(quick.module(pixels), encoder.module(pixels))


def test_checkpoints_of_unclear_preprocessing_are_refused(registered):
    name, path, tags = registered
    tags["second"] = {"url": "", "hf_hub": "org/y/", "mean": (0.5, 0.5, 0.5)}
    with pytest.raises(EncoderError, match=r"Add \?like=TAG, for example first or second"):
        load_encoder(f"open_clip:{name}@{path}", "cpu")
    like = load_encoder(f"open_clip:{name}@{path}?like=second", "cpu")
    assert like.preprocess == Preprocess(
        size=32, mean=(0.5, 0.5, 0.5), std=like.preprocess.std, interpolation="bicubic"
    )
    with pytest.raises(UnknownEncoderError, match="no pretrained tag 'third'"):
        load_encoder(f"open_clip:{name}@{path}?like=third", "cpu")


def test_texts_of_a_tokenizer_that_is_not_here(folder):
    config = {"hf_tokenizer_name": "org/tokenizer"}
    set_config(folder, lambda c: c["model_cfg"]["text_cfg"].update(config))
    encoder = load_encoder(f"open_clip:{folder}", "cpu")
    with pytest.raises(WeightsError, match="tokenizer"):
        encoder.encode_texts(["x"])


def test_the_tower_of_coca_gives_the_pooled_vector(tmp_path, pictures):
    config = copy.deepcopy(models.OPEN_CLIP)
    config["model_cfg"].update(
        custom_text=True,
        multimodal_cfg={"width": 64, "heads": 1, "layers": 1, "context_length": 16},
    )
    config["model_cfg"]["vision_cfg"].update(output_tokens=True, attentional_pool=True)
    config["model_cfg"]["text_cfg"].update(embed_cls=True, output_tokens=True)
    models.write_json(tmp_path / "open_clip_config.json", config)
    from open_clip.coca_model import CoCa

    parts = {k: v for k, v in config["model_cfg"].items() if k != "custom_text"}
    model = models.shake(CoCa(**copy.deepcopy(parts)))
    models.save_file(model.state_dict(), weights_of(tmp_path))
    encoder = load_encoder(f"open_clip:{tmp_path}", "cpu")
    pixels = encoder.normalise(pictures(2, 32))
    expected = model.encode_image(pixels, normalize=False)
    torch.testing.assert_close(encoder.module(pixels), expected)
