import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize
from transformers import ClapFeatureExtractor

from fakes.sounds import encoded, tone
from fakes.towers import PROCESSOR, write_clap
from syntype.encoders.spec import parse_spec
from syntype.errors import EncoderError, MediaError, UnknownEncoderError, UsageError, WeightsError
from syntype.senses import sound_clap
from syntype.senses.mel import CLAP_FUSED
from syntype.senses.waves import Wave

CPU = torch.device("cpu")


def load(folder, options=""):
    return sound_clap.load(parse_spec(f"clap:{folder}{options}"), CPU)


@pytest.fixture(scope="module")
def ears(tmp_path_factory):
    """Folders in each published layout, with the library's own models."""
    root = tmp_path_factory.mktemp("clap")
    kinds = {
        "ecosound": {},
        "both": {"whole": True},
        "plain": {"fused": False},
    }
    return root, {name: write_clap(root / name, **kind) for name, kind in kinds.items()}


@pytest.fixture
def copied(ears, tmp_path):
    return shutil.copytree(ears[0] / "ecosound", tmp_path / "ecosound")


@pytest.fixture
def centred_draws(monkeypatch):
    monkeypatch.setattr(np.random, "choice", lambda places: places[len(places) // 2])
    monkeypatch.setattr(np.random, "randint", lambda low, high: (high - 1) // 2)


def sound(seconds, seed=0):
    noise = np.random.default_rng(seed).standard_normal(round(seconds * 48_000)) * 0.1
    return Wave((noise + tone(2000, seconds)).astype(np.float32), 48_000)


def expected(model, samples, truncation="fusion"):
    """The library's whole way for a sound by itself."""
    settings = {key: value for key, value in PROCESSOR.items() if "type" not in key}
    extractor = ClapFeatureExtractor(**{**settings, "truncation": truncation})
    inputs = extractor(samples, sampling_rate=48_000, return_tensors="pt")
    views, longer = inputs["input_features"].float(), inputs["is_longer"]
    with torch.inference_mode():
        if hasattr(model, "get_audio_features"):
            pooled = model.audio_model(input_features=views, is_longer=longer).pooler_output
            return normalize(model.audio_projection(pooled))
        return normalize(model(input_features=views, is_longer=longer).audio_embeds)


@pytest.mark.parametrize("kind", ["ecosound", "both", "plain"])
@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5])
def test_vectors_are_those_of_the_library(ears, centred_draws, kind, seconds):
    root, models = ears
    wave = sound(seconds)
    truncation = "rand_trunc" if kind == "plain" else "fusion"
    own = expected(models[kind], wave.samples, truncation)
    found = load(root / kind).encode([wave])
    torch.testing.assert_close(found, own, atol=1e-4, rtol=0)


def test_a_vector_does_not_depend_on_its_batch_or_on_the_draw(ears):
    sense = load(ears[0] / "ecosound")
    short, long = sound(0.5), sound(3, seed=1)
    alone = torch.cat([sense.encode([short]), sense.encode([long])])
    np.random.seed(5)  # noqa: NPY002 - what the library draws from
    torch.testing.assert_close(sense.encode([short, long]), alone, atol=1e-5, rtol=0)


def test_longer_by_truth_hears_short_sounds_without_fusion(ears):
    root, models = ears
    sense, always = load(root / "ecosound", "?longer=truth"), load(root / "ecosound")
    short, long = sound(0.5), sound(3)
    assert sense.prepare([short, long])[1].tolist() == [[False], [True]]
    assert always.prepare([short, long])[1].tolist() == [[True], [True]]
    views = sense.prepare([short])[0]
    with torch.inference_mode():
        own = models["ecosound"](input_features=views, is_longer=torch.tensor([[False]]))
    torch.testing.assert_close(sense.encode([short]), normalize(own.audio_embeds))
    assert not torch.allclose(sense.encode([short]), always.encode([short]), atol=1e-4)
    torch.testing.assert_close(sense.encode([long]), always.encode([long]))
    assert sense.key != always.key


def test_what_it_is(ears):
    sense = load(ears[0] / "ecosound")
    assert (sense.modality, sense.dim, sense.name) == ("sound", 24, f"clap:{ears[0]}/ecosound")
    assert sense.preparation["mel"]["rate"] == 48_000
    assert sense.preparation["seconds"] == 1
    torch.testing.assert_close(sense.encode([sound(1)]).norm(dim=1), torch.ones(1))
    json.dumps(sense.identity)
    again = sound_clap.empty(sense.architecture)
    again.load_state_dict(sense.module.state_dict())


def test_both_towers_and_one_are_the_same_network(ears, tmp_path):
    """Of a file of both towers, the sound's alone is what is left when it is cut out."""
    root, _ = ears
    folder = shutil.copytree(root / "both", tmp_path / "cut")
    state = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in state.items() if key.startswith("audio_")}
    assert len(kept) < len(state)
    save_file(kept, folder / "model.safetensors")
    assert load(folder).key == load(root / "both").key


def test_files_and_waves_of_other_rates_are_taken(ears):
    sense = load(ears[0] / "ecosound")
    slow = tone(1000, 1.0, 22_050)
    one = sense.encode([encoded(slow, 22_050, subtype="FLOAT")])
    torch.testing.assert_close(one, sense.encode([Wave(slow, 22_050)]), atol=1e-5, rtol=0)
    with pytest.raises(MediaError, match="sound 0 of 1: the file is empty"):
        sense.encode([b""])


def test_a_folder_without_a_front_end_has_the_published_one(tmp_path, ears):
    write_clap(tmp_path / "bare", processor=False)
    sense = load(tmp_path / "bare")
    mel = sense.preparation["mel"]
    assert (mel["low"], mel["high"], mel["hop"]) == (CLAP_FUSED.low, CLAP_FUSED.high, 480)
    assert (sense.preparation["seconds"], sense.preparation["padding"]) == (10.0, "repeat-whole")


def test_saved_in_parts_it_is_the_same(tmp_path, ears):
    write_clap(tmp_path / "parts", max_shard_size="20KB")
    assert (tmp_path / "parts" / "model.safetensors.index.json").is_file()
    assert load(tmp_path / "parts").weights == load(ears[0] / "ecosound").weights


def test_partial_or_foreign_weights_are_refused(copied):
    path = copied / "model.safetensors"
    state = load_file(path)
    gone = "audio_projection.linear2.weight"
    save_file({key: value for key, value in state.items() if key != gone}, path)
    with pytest.raises(WeightsError, match=f"missing: {gone}"):
        load(copied)
    save_file({**state, "audio_model.extra": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match=r"unexpected: audio_model\.extra"):
        load(copied)
    save_file({**state, gone: torch.zeros(3, 3)}, path)
    with pytest.raises(WeightsError, match="another shape"):
        load(copied)
    save_file({**state, gone: torch.full_like(state[gone], torch.nan)}, path)
    with pytest.raises(WeightsError, match="NaN"):
        load(copied)
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="damaged"):
        load(copied)
    path.unlink()
    with pytest.raises(WeightsError, match="does not hold"):
        load(copied)


def spoil(folder, name, **changes):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("name", "changes", "error", "words"),
    [
        ("config.json", {"model_type": "wav2vec2"}, UnknownEncoderError, "wav2vec2"),
        ("preprocessor_config.json", {"truncation": "rand_trunc"}, EncoderError, "gives one"),
        ("preprocessor_config.json", {"truncation": "other"}, EncoderError, "'other'"),
        ("preprocessor_config.json", {"feature_size": 20}, EncoderError, "20 bands"),
        ("preprocessor_config.json", {"top_db": 80}, EncoderError, "top_db"),
        ("preprocessor_config.json", {"padding": "mirror"}, UsageError, "padding is one of"),
    ],
)
def test_what_is_not_offered_is_said(copied, name, changes, error, words):
    spoil(copied, name, **changes)
    with pytest.raises(error, match=words):
        load(copied)


def test_what_old_versions_wrote_beside_changes_nothing(copied, ears):
    old = {
        "transformers_version": "4.27.0.dev0",
        "torch_dtype": "float32",
        "add_cross_attention": False,
        "bad_words_ids": None,
        "pruned_heads": {},
        "num_beams": 1,
        "top_k": 50,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1"},
        "fusion_num_hidden_layers": 2,
        "torchscript": False,
        "use_bfloat16": False,
    }
    spoil(copied, "config.json", **old)
    assert load(copied).key == load(ears[0] / "ecosound").key


def test_options_are_checked(ears):
    with pytest.raises(UsageError, match="longer is one of always, truth"):
        load(ears[0] / "ecosound", "?longer=never")
    with pytest.raises(UsageError, match="has longer, padding, windows"):
        load(ears[0] / "ecosound", "?long=always")


def test_a_hub_that_cannot_be_reached_says_what_to_fetch():
    with pytest.raises(WeightsError, match="hf download MVRL/ecosound"):
        sound_clap.load(parse_spec("clap:hf-hub:MVRL/ecosound"), CPU)
