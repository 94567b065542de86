import pytest
import torch

from syntype.encoders import describe, load_encoder, resolve_device
from syntype.encoders.architectures import empty_module
from syntype.encoders.load import SOURCES
from syntype.errors import EncoderError, UnknownEncoderError, UsageError, WeightsError


@pytest.mark.parametrize("call", [load_encoder, describe])
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("openclip:x", r"Did you mean open_clip\? A spec is one of: pixels; descriptors;"),
        ("resnet50", "No encoder has the source 'resnet50'"),
        ("", "No encoder has the source ''"),
        ("/runs/best", r"written checkpoint:/runs/best"),
        ("descriptors:big", "takes no name"),
        ("timm", r"needs a name: timm:NAME\.TAG"),
    ],
)
def test_unknown_sources_list_the_known_ones(call, spec, words):
    with pytest.raises(UnknownEncoderError, match=words):
        call(spec)


@pytest.mark.parametrize("call", [load_encoder, describe])
@pytest.mark.parametrize(
    "spec",
    [
        "pixels?size=64",
        "timm:resnet50.a1_in1k?pretrained=false",
        "open_clip:ViT-B-32/openai?like=openai",
        "transformers:facebook/dinov2-base?x=1",
        "unicom:/x.pt?arc=1",
        "imagebind:/x.pth?arc=1",
        "checkpoint:/x?y=1",
    ],
)
def test_options_that_a_source_lacks_are_refused(call, spec):
    with pytest.raises(UsageError, match="has"):
        call(spec)


def test_every_source_is_listed_in_its_page(request):
    page = (request.config.rootpath / "docs" / "reference" / "encoders.md").read_text()
    assert [name for name in SOURCES if f"`{name}" not in page] == []


@pytest.mark.parametrize(
    ("spec", "size", "dim", "where"),
    [
        ("open_clip:ViT-H-14/laion2b_s32b_b79k", 224, 1024, "laion/CLIP-ViT-H-14"),
        ("open_clip:hf-hub:imageomics/bioclip-2", 224, 768, "imageomics/bioclip-2"),
        ("open_clip:hf-hub:someone/something", None, None, "someone/something"),
        ("timm:resnet50.a1_in1k", 224, 2048, "timm/resnet50.a1_in1k"),
        ("transformers:facebook/dinov2-base", None, None, "facebook/dinov2-base"),
    ],
)
def test_plans_without_network_say_what_would_be_fetched(spec, size, dim, where):
    plan = describe(spec)
    assert (plan.weights, plan.size, plan.dim) == ("download", size, dim)
    assert plan.where.startswith(where)
    assert any(name.endswith(".safetensors") for name in plan.downloads)
    assert "would download" in plan.summary


@pytest.mark.parametrize("source", ["checkpoint", "unicom", "timm", "transformers", "open_clip"])
def test_plans_of_absent_paths_say_so(source):
    plan = describe(f"{source}:/nowhere/at/all")
    assert plan.weights == "missing"
    assert "NOT FOUND: /nowhere/at/all" in plan.summary


def test_checkpoints_are_dispatched(tmp_path):
    with pytest.raises(WeightsError, match=r"encoder\.json is missing"):
        load_encoder(f"checkpoint:{tmp_path}", "cpu")


def test_devices():
    assert resolve_device("cpu") == torch.device("cpu")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected
    for text in ("cuda:99", "gpu", "cpu:1", "cuda:x", ""):
        with pytest.raises(UsageError, match="--device"):
            resolve_device(text)


def test_architectures_of_other_sources_are_refused():
    with pytest.raises(EncoderError, match="source 'tea leaves'"):
        empty_module({"source": "tea leaves"})
