import json
import pickle
import re

import numpy as np
import pytest
import torch

from fakes.imagebind import HUGE, SMALL, Naive, others, shapes, state, write_imagebind
from fakes.models import truncate
from syntype.encoders import describe, load_encoder
from syntype.encoders.encoder import require_text
from syntype.encoders.imagebind_file import (
    PUBLISHED,
    infer_architecture,
    read_file,
    shapes_of,
    weights_of,
)
from syntype.encoders.imagebind_towers import empty
from syntype.encoders.text_tower import empty_text_tower
from syntype.encoders.weights import pour
from syntype.errors import EncoderError, UnknownEncoderError, UsageError, WeightsError

YES = "?licence=accepted"
COUNTS = {"vision": (392, 32, 16, 1280), "text": (295, 24, 16, 1024), "audio": (177, 12, 12, 768)}
TEXTS = ["A dog.", "a photo of Anas  crecca Linnæus, 1758 (Küken).", "long words " * 60, ""]


@pytest.fixture(scope="module")
def spec(zoo):
    return f"imagebind:{zoo[0]}/imagebind.pth{YES}"


@pytest.fixture(scope="module")
def encoder(spec):
    return load_encoder(spec, "cpu")


def test_vectors_of_pictures_are_those_of_the_description(zoo, encoder, pictures):
    images = pictures(3, 28)
    naive = Naive(zoo[1]["imagebind"], "vision")
    expected = [naive.picture(image) for image in encoder.normalise(images).double().numpy()]
    np.testing.assert_allclose(encoder.encode(images).numpy(), expected, atol=2e-6)


def test_vectors_of_texts_are_those_of_the_description(zoo, encoder):
    naive = Naive(zoo[1]["imagebind"], "text")
    tokens = encoder.text_tower().tokenize(TEXTS).numpy()
    expected = [naive.text(row) for row in tokens]
    np.testing.assert_allclose(encoder.encode_texts(TEXTS).numpy(), expected, atol=2e-6)


def test_texts_are_clips_77_tokens_with_first_and_last(encoder):
    tokens = encoder.text_tower().tokenize(TEXTS)
    assert tokens.shape == (4, 77)
    assert tokens[0].tolist() == [49406, 320, 1929, 269, 49407, *[0] * 72]
    assert tokens[:, 0].tolist() == [49406] * 4
    assert tokens[2, -1] == 49407
    assert tokens[3, :3].tolist() == [49406, 49407, 0]


def test_what_comes_after_the_end_of_a_text_does_not_count(encoder):
    module = encoder.text_tower().module
    tokens = torch.tensor([[49406, 320, 49407, *[0] * 74]])
    other = tokens.clone()
    other[0, 5:] = 7
    with torch.inference_mode():
        torch.testing.assert_close(module(tokens), module(other))


@pytest.mark.parametrize("branch", HUGE)
def test_the_published_model_has_the_published_keys(branch):
    published, found = shapes(branch, **HUGE[branch]), shapes_of(PUBLISHED[branch])
    n_tensors, depth, heads, width = COUNTS[branch]
    assert found == published
    assert len(found) == n_tensors
    architecture = infer_architecture(published, branch, "it")
    assert architecture == PUBLISHED[branch]
    assert (architecture["depth"], architecture["heads"]) == (depth, heads)
    assert (architecture["width"], architecture["dim"]) == (width, 1024)


def test_the_published_towers_have_the_published_number_of_weights():
    with torch.device("meta"):
        towers = {branch: empty(PUBLISHED[branch]) for branch in PUBLISHED}
    millions = {
        branch: round(sum(part.numel() for part in tower.parameters()) / 1e6)
        for branch, tower in towers.items()
    }
    assert millions == {"vision": 633, "text": 354, "audio": 86}
    assert towers["vision"].modality_trunks["vision"].blocks[31].attn.heads == 16
    assert towers["audio"].modality_trunks["audio"].blocks[0].attn.heads == 12


def test_preprocessing_is_the_published_one(encoder):
    found = encoder.preprocess
    assert (found.size, found.fit, found.interpolation) == (28, "crop", "bicubic")
    assert found.resize_to in (0, 28)
    assert found.mean == (0.48145466, 0.4578275, 0.40821073)
    assert found.std == (0.26862954, 0.26130258, 0.27577711)


@pytest.mark.parametrize("call", [load_encoder, describe])
@pytest.mark.parametrize("given", ["", "?licence=no", "?licence=Accepted"])
def test_the_licence_must_be_accepted(call, zoo, given):
    spec = f"imagebind:{zoo[0]}/imagebind.pth"
    words = rf"CC BY-NC-SA 4\.0: no commercial use.*write {re.escape(spec + YES)}\."
    with pytest.raises(UsageError, match=words):
        call(spec + given)


def test_other_options_and_no_file_are_refused(spec):
    with pytest.raises(UsageError, match="imagebind has licence, not 'heads'"):
        load_encoder(f"{spec}&heads=3", "cpu")
    with pytest.raises(UnknownEncoderError, match=r"needs a name: imagebind:FILE\?licence="):
        load_encoder(f"imagebind{YES}", "cpu")


def test_plans_say_what_is_there_or_published(spec):
    plan = describe(spec)
    assert (plan.weights, plan.size, plan.dim) == ("local", 28, 24)
    plan = describe(f"imagebind:/nowhere/imagebind_huge.pth{YES}")
    assert (plan.weights, plan.size, plan.dim) == ("missing", 224, 1024)


def test_only_the_branch_is_needed_and_the_others_are_passed_over(tmp_path, encoder):
    write_imagebind(tmp_path / "alone.pth", branches=("vision",), beside=False)
    alone = load_encoder(f"imagebind:{tmp_path}/alone.pth{YES}", "cpu")
    assert alone.key == encoder.key
    assert (alone.encode_texts, alone.logit_scale, alone.text_tower) == (None, None, None)
    with pytest.raises(EncoderError, match="has no text tower"):
        require_text(alone)


def test_identity_of_texts_names_no_path_and_survives_a_second_load(zoo, spec, encoder):
    found = encoder.text_identity()
    assert found == load_encoder(spec, "cpu").text_identity()
    assert str(zoo[0]) not in json.dumps(found)
    assert (found["depth"], found["heads"], found["dim"]) == (2, 2, 24)


def test_a_text_tower_is_built_again_from_its_architecture(encoder):
    tower = encoder.text_tower()
    again = empty_text_tower(tower.architecture)
    pour(again.module, tower.module.state_dict(), "it")
    tokens = again.tokenize(TEXTS)
    assert torch.equal(tokens, tower.tokenize(TEXTS))
    with torch.inference_mode():
        torch.testing.assert_close(again.module.eval()(tokens), tower.module(tokens))


@pytest.mark.parametrize(("scale", "wanted"), [(None, 1 / 0.07), (30.0, 30.0), (250.0, 100.0)])
def test_the_scale_is_the_files_and_at_most_100(encoder, scale, wanted):
    found = weights_of(small_text(scale=scale), "text", "it").scale
    assert found == pytest.approx(wanted, rel=1e-6)
    assert encoder.logit_scale == pytest.approx(1 / 0.07, rel=1e-6)


def small_text(**options):
    """A text branch without the weight of its words, which are shared by all tests of keys."""
    found = state("text", vocabulary=1, **options)
    found["modality_preprocessors.text.token_embedding.weight"] = torch.empty(
        49408, 128, device="meta"
    )
    return found


NORM = "modality_trunks.vision.blocks.1.norm_2.bias"
MASK = "modality_preprocessors.text.mask"
SCALE = "modality_postprocessors.text.1.log_logit_scale"
STEM = "modality_preprocessors.vision.rgbt_stem.proj.1.weight"


@pytest.mark.parametrize(
    ("branch", "change", "words"),
    [
        ("vision", lambda s: s.pop(NORM), rf"missing: {NORM}\."),
        (
            "vision",
            lambda s: s.update({NORM: torch.ones(3)}),
            rf"shape: {NORM} \(3,\) for \(160,\)",
        ),
        ("vision", lambda s: s.update(epoch=torch.ones(1)), r"unexpected: epoch\."),
        ("vision", lambda s: s.update({"modality_heads.smell.0": torch.ones(1)}), "heads.smell.0"),
        (
            "vision",
            lambda s: s.update({"modality_heads.vision.3.weight": torch.ones(1)}),
            r"unexpected: modality_heads\.vision\.3\.weight",
        ),
        ("vision", lambda s: s.pop(STEM), rf"no branch for vision .*{STEM}' is missing"),
        ("vision", lambda s: s.update({STEM: torch.ones(160)}), "no branch for vision"),
        ("text", lambda s: s.pop(MASK), f"missing: {MASK}"),
        ("text", lambda s: s.update({MASK: torch.zeros(77, 77)}), "does not hide what comes later"),
        ("text", lambda s: s.pop(SCALE), f"missing: {SCALE}"),
        ("text", lambda s: s[SCALE].fill_(torch.nan), f"{SCALE} is nan"),
        (
            "text",
            lambda s: s.update(
                {"modality_preprocessors.text.token_embedding.weight": torch.ones(9, 128)}
            ),
            r"token_embedding\.weight \(9, 128\) for \(49408, 128\)",
        ),
        (
            "audio",
            lambda s: s.pop("modality_trunks.audio.blocks.0.attn.bias_k"),
            r"missing: modality_trunks\.audio\.blocks\.0\.attn\.bias_k",
        ),
        (
            "audio",
            lambda s: s.update(
                {
                    "modality_preprocessors.audio.pos_embedding_helper.pos_embed": torch.ones(
                        1, 200, 128
                    )
                }
            ),
            r"pos_embed \(1, 200, 128\) for \(1, 229, 128\)",
        ),
    ],
)
def test_other_weights_are_refused_by_name(branch, change, words):
    given = (small_text() if branch == "text" else state(branch)) | others()
    assert weights_of(given, branch, "it").architecture["depth"] == SMALL[branch]["depth"]
    change(given)
    with pytest.raises(WeightsError, match=words):
        weights_of(given, branch, "it")


def test_a_width_that_no_heads_fit_is_refused():
    with pytest.raises(WeightsError, match="vision is 100 wide, which is no whole number of heads"):
        infer_architecture(shapes("vision", size=28, width=100, depth=1, dim=8), "vision", "it")


def test_weights_that_are_not_finite_are_refused(tmp_path):
    given = state("vision")
    given[NORM][3] = torch.inf
    torch.save(given, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=f"NaN or infinite.*{NORM}"):
        load_encoder(f"imagebind:{tmp_path}/x.pth{YES}", "cpu")


def test_texts_with_a_key_missing_are_refused_before_the_first_text(tmp_path):
    given = state("vision") | state("text", vocabulary=1)
    torch.save(given, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"token_embedding\.weight \(1, 128\)"):
        load_encoder(f"imagebind:{tmp_path}/x.pth{YES}", "cpu")


def test_safetensors_are_read_too(tmp_path):
    from safetensors.torch import save_file

    save_file(state("vision"), tmp_path / "x.safetensors")
    torch.save(state("vision"), tmp_path / "x.pth")
    found = [
        load_encoder(f"imagebind:{tmp_path}/x.{e}{YES}", "cpu") for e in ("safetensors", "pth")
    ]
    assert found[0].key == found[1].key


class Dangerous:
    def __reduce__(self):
        return print, ("this ran",)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "There is no file"),
        (lambda path: path.write_text("this is no file of weights"), "is damaged, or not as"),
        (lambda path: path.write_bytes(b""), "truncated or damaged|is damaged"),
        (lambda path: path.write_bytes(pickle.dumps({})), "is damaged, or not as"),
        (lambda path: torch.save({"x": Dangerous()}, path), "could run code"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no state dict"),
    ],
)
def test_broken_files_are_told(tmp_path, write, words, capsys):
    write(tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=words):
        read_file(tmp_path / "x.pth")
    assert "this ran" not in capsys.readouterr().out


def test_truncated_files_are_told(tmp_path):
    torch.save(state("vision"), tmp_path / "x.pth")
    truncate(tmp_path / "x.pth", 0.7)
    with pytest.raises(WeightsError, match="truncated or damaged"):
        read_file(tmp_path / "x.pth")
