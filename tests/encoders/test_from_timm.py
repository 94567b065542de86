import json
import shutil

import pytest
import timm
import torch
from timm.data import create_transform, resolve_data_config
from torch import nn

from fakes import models
from syntype.encoders import describe, load_encoder
from syntype.encoders.from_timm import registered_config, to_preprocess
from syntype.errors import EncoderError, UnknownEncoderError, WeightsError


@pytest.fixture
def folder(zoo, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(zoo[0] / "timm", tmp_path / "copy")


def set_config(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet", "test_convnext"])
def test_vectors_are_the_librarys_own(tmp_path, name, pictures):
    original = models.write_timm(tmp_path, name)
    encoder = load_encoder(f"timm:{tmp_path}", "cpu")
    pixels = encoder.normalise(pictures(3, 32))
    expected = original.forward_head(original.forward_features(pixels), pre_logits=True)
    torch.testing.assert_close(encoder.module(pixels), expected, atol=1e-5, rtol=1e-5)
    assert describe(f"timm:{tmp_path}").dim == encoder.dim == expected.shape[1]


@pytest.mark.parametrize(
    "config",
    [
        {"crop_pct": 0.875, "interpolation": "bilinear"},
        {"crop_pct": 0.95, "crop_mode": "center", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.1]},
        {"crop_pct": 1.0, "crop_mode": "squash"},
        {"crop_pct": 1.0, "crop_mode": "border", "mean": [0.5, 0.5, 0.5]},
    ],
)
def test_preprocessing_is_that_of_the_librarys_transform(folder, config):
    set_config(folder, lambda content: content["pretrained_cfg"].update(config))
    encoder = load_encoder(f"timm:{folder}", "cpu")
    model = timm.create_model("test_resnet", pretrained_cfg_overlay=config)
    data = resolve_data_config({"input_size": (3, 32, 32)}, pretrained_cfg=model.pretrained_cfg)
    steps = {type(step).__name__: step for step in create_transform(**data).transforms}
    found = encoder.preprocess
    assert found.mean == pytest.approx(steps["Normalize"].mean.tolist())
    assert found.std == pytest.approx(steps["Normalize"].std.tolist())
    resize = steps.get("Resize") or steps["ResizeKeepRatio"]
    interpolation = resize.interpolation
    assert found.interpolation == getattr(interpolation, "value", interpolation)
    if found.fit == "crop":
        assert resize.size == (found.resize_to or found.size)
    elif found.fit == "pad":
        assert set(steps["CenterCropOrPad"].fill) == {found.fill}
    else:
        assert resize.size == (32, 32)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dm_nfnet_f0.dm_in1k", "crop_mode=squash with crop_pct=0.9"),
        ("vit_base_patch16_sapiens2.fb", "must be 3 x s x s"),
    ],
)
def test_preprocessing_without_an_equal_is_refused(name, words):
    if not timm.is_model(name.partition(".")[0]):
        pytest.skip(f"this timm has no {name}")
    with pytest.raises(EncoderError, match=words):
        describe(f"timm:{name}")


def test_nearly_every_pretrained_model_has_an_equal():
    refused = 0
    names = timm.list_pretrained()[::20]
    for name in names:
        try:
            to_preprocess(timm.get_pretrained_cfg(name).to_dict(), name)
        except EncoderError:
            refused += 1
    assert refused <= 0.03 * len(names)


def test_registered_weights_come_from_the_cache(zoo, tmp_path, monkeypatch, pictures):
    """What `timm:NAME.TAG` reads, with a file in the hub's cache in place of the download."""
    original = models.write_timm(tmp_path, "test_resnet", size=160)
    original.reset_classifier(1000)
    models.shake(original)
    models.save_file(original.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(
        "syntype.encoders.hub.cached", lambda repo, choices: tmp_path / "model.safetensors"
    )
    encoder = load_encoder("timm:test_resnet.r160_in1k", "cpu")
    pixels = encoder.normalise(pictures(2, encoder.preprocess.size))
    original.reset_classifier(0)
    torch.testing.assert_close(encoder.module(pixels), original(pixels))
    assert describe("timm:test_resnet.r160_in1k").weights == "cached"


@pytest.mark.parametrize("key", ["conv1.0.weight", "layer1.0.bn1.running_mean", "fc.weight"])
def test_partial_weights_are_refused_by_name(folder, key):
    models.edit_tensors(folder / "model.safetensors", lambda state: state.pop(key))
    with pytest.raises(WeightsError, match=key.replace(".", r"\.")):
        load_encoder(f"timm:{folder}", "cpu")


def test_weights_of_more_than_the_model_are_refused(folder):
    models.edit_tensors(folder / "model.safetensors", lambda s: s.update(extra=torch.zeros(1)))
    with pytest.raises(WeightsError, match="extra"):
        load_encoder(f"timm:{folder}", "cpu")


def test_another_number_of_classes_does_not_loosen_the_loading(folder):
    """timm itself drops the classifier and from then on ignores every missing key."""
    set_config(folder, lambda config: config.update(num_classes=9))
    with pytest.raises(WeightsError, match="fc"):
        load_encoder(f"timm:{folder}", "cpu")


def test_a_loose_loading_is_refused(folder, monkeypatch):
    """Some of timm's families load with strict=False whatever is asked."""
    original = nn.Module.load_state_dict
    monkeypatch.setattr(
        nn.Module, "load_state_dict", lambda self, state, strict=True: original(self, state, False)
    )
    models.edit_tensors(folder / "model.safetensors", lambda s: s.pop("conv1.0.weight"))
    with pytest.raises(WeightsError, match=r"missing: conv1\.0\.weight"):
        load_encoder(f"timm:{folder}", "cpu")


def test_a_model_into_which_nothing_was_loaded_is_refused(folder, monkeypatch):
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *a, pretrained, **k: create(*a, **k))
    with pytest.raises(WeightsError, match="loaded no weights"):
        load_encoder(f"timm:{folder}", "cpu")


def test_truncated_and_absent_weights_are_refused(folder):
    models.truncate(folder / "model.safetensors")
    with pytest.raises(WeightsError, match="truncated or damaged"):
        load_encoder(f"timm:{folder}", "cpu")
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"there is no model\.safetensors"):
        load_encoder(f"timm:{folder}", "cpu")
    assert describe(f"timm:{folder}").weights == "missing"


def test_other_folders_are_refused(zoo, folder, tmp_path):
    with pytest.raises(EncoderError, match="write transformers:PATH"):
        load_encoder(f"timm:{zoo[0]}/dinov2", "cpu")
    with pytest.raises(WeightsError, match=r"no config\.json"):
        load_encoder(f"timm:{tmp_path}/nothing", "cpu")
    set_config(folder, lambda config: config.update(architecture="resnet9000"))
    with pytest.raises(UnknownEncoderError, match="timm has no model 'resnet9000'"):
        load_encoder(f"timm:{folder}", "cpu")


def test_older_exports_on_one_level_are_read(folder):
    key = load_encoder(f"timm:{folder}", "cpu").preprocess

    def flatten(config):
        config.update(config.pop("pretrained_cfg"))

    set_config(folder, flatten)
    assert load_encoder(f"timm:{folder}", "cpu").preprocess == key


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rsnet50.a1_in1k", "timm has no model 'rsnet50.a1_in1k'. Did you mean resnet50"),
        ("resnet50.zz", "no pretrained tag 'zz', but a1_in1k"),
        ("hf-hub:x", "organisation/name"),
    ],
)
def test_unknown_names_list_close_ones(name, words):
    with pytest.raises(UnknownEncoderError, match=words):
        load_encoder(f"timm:{name}", "cpu")


def test_names_without_weights_are_never_a_random_model():
    name = next(
        name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights
    )
    with pytest.raises(WeightsError, match=f"untrained:{name} if random weights are meant"):
        load_encoder(f"timm:{name}", "cpu")


def test_without_network_the_message_says_how_to_fetch():
    words = r"HF_HUB_OFFLINE is set.*hf download timm/resnet50\.a1_in1k model\.safetensors"
    with pytest.raises(WeightsError, match=words):
        load_encoder("timm:resnet50.a1_in1k", "cpu")


def test_registered_configs_are_complete():
    config = registered_config("resnet50.a1_in1k")
    assert to_preprocess(config, "x").resize_to == 235 or config["crop_pct"] != 0.95
