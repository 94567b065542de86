from importlib import import_module
from itertools import pairwise

import pytest

from syntype.configs import TrainConfig
from syntype.sweep import cost
from syntype.sweep.cost import Cost, duration, kmeans_cost, picture_cost, training_cost


@pytest.mark.parametrize(
    ("spec", "giga", "dim"),
    [
        # Multiply-adds of the papers' tables, times two.
        ("open_clip:ViT-B-32/openai", 2 * 4.4, 512),
        ("open_clip:ViT-B-16/laion2b_s34b_b88k", 2 * 17.6, 512),
        ("timm:resnet50.a1_in1k", 2 * 4.1, 2048),
    ],
)
def test_operations_per_picture_are_those_of_the_papers(spec: str, giga: float, dim: int) -> None:
    flops, width = picture_cost(spec)
    assert flops == pytest.approx(giga * 1e9, rel=0.05)
    assert width == dim


def test_towers_that_pool_by_attention_can_be_counted() -> None:
    flops, width = picture_cost("open_clip:ViT-B-16-SigLIP/webli")
    assert flops == pytest.approx(2 * 17.6e9, rel=0.05)
    assert width == 768


@pytest.mark.parametrize("spec", ["pixels", "descriptors", "untrained:resnet10t?size=32"])
def test_encoders_without_weights_are_asked_themselves(spec: str) -> None:
    from syntype.encoders.load import load_encoder

    flops, width = picture_cost(spec)
    assert flops is not None
    assert flops > 0
    assert width == load_encoder(spec, "cpu").dim


@pytest.mark.parametrize(
    "spec",
    [
        "open_clip:local-dir:none",
        "open_clip:hf-hub:laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "timm:hf-hub:a/b",
        "transformers:a/b",
        "checkpoint:x",
    ],
)
def test_what_is_not_here_costs_an_unknown_amount_and_nobody_is_asked(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module("open_clip")  # both want the function when they are imported
    import_module("timm")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", None)
    assert picture_cost(spec) == (None, None)


def test_formulas_are_those_of_the_docstring() -> None:
    assert kmeans_cost(100, 8, 5, 20).flops == 2 * 100 * 5 * 8 * 20
    adapter = TrainConfig(epochs=3, hidden=16)
    assert training_cost(100, 8, 5, adapter, None).flops == 6 * 100 * 3 * (2 * 8 * 16 + 8 * 5)
    tower = TrainConfig(mode="finetune", epochs=3)
    assert training_cost(100, 8, 5, tower, 7e9).flops == 3 * 100 * 3 * 7e9
    assert training_cost(100, 8, 5, tower, None).flops is None


def test_more_clusters_cost_more() -> None:
    ks = (2, 10, 1000, 10000)
    config = TrainConfig()
    for costs in (
        [kmeans_cost(1000, 64, k, 20).flops for k in ks],
        [training_cost(1000, 64, k, config, None).flops for k in ks],
    ):
        known = [flops for flops in costs if flops is not None]
        assert len(known) == len(ks)
        assert all(low < high for low, high in pairwise(known))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"),
        (0.0, "1 s"),
        (40.2, "40 s"),
        (89.4, "89 s"),
        (90.0, "2 min"),
        (720.0, "12 min"),
        (5400.0, "1.5 h"),
        (12600.0, "3.5 h"),
        (172800.0, "2.0 days"),
        (345600.0, "4.0 days"),
    ],
)
def test_durations_in_words(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_time_is_operations_over_the_rate_that_stages_reach() -> None:
    assert Cost(1e12).seconds(1e12) == pytest.approx(1 / cost.UTILISATION)
    assert Cost(None).seconds(1e12) is None
    assert cost.machine_rate(side=64, seconds=0.01) > 1e6
