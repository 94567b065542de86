"""Recipes of cluster discrimination: functions that return a complete sweep.

A variant calls the recipe it varies and changes what differs, so that the difference is what one
reads. Hardware and times are computed by `--dry-run`, which measures the machine it runs on.
"""

from dataclasses import replace

from syntype.configs import (
    DataConfig,
    EmbedConfig,
    Expected,
    KMeansConfig,
    SweepConfig,
    TrainConfig,
)
from syntype.recipes.recipe import Recipe


def demo() -> Recipe:
    """The synthetic tree of life, hand-made descriptors as the base, adapters on cached vectors.

    Command: `syntype demo`. Hardware: two CPU cores, no network. Time and scores of the last
    measured run: LOG.md. Margin and speed of the centres were chosen on the validation split: the
    published pair (0.3, ten times) gains about half as much on these descriptors.
    """
    config = SweepConfig(
        samples=DataConfig(data=("synthetic:small",)),
        k=(30, 60, 120, 240, 480, 960),
        base="descriptors",
        seeds=(0, 1, 2),
        train=TrainConfig(epochs=12, margin=0.5, centre_lr_factor=1.0),
    )
    expected = Expected(5000, 60, "drawn by syntype")
    return Recipe("demo", "a drawn tree of life, minutes on a laptop", config, expected)


def vlm4bio_vit_h14() -> Recipe:
    """The real experiment: ViT-H/14 tuned by cluster discrimination on VLM4Bio, against BioCLIP.

    Command: `syntype recipe vlm4bio-vit-h14 --data vlm4bio:VLM4Bio/datasets`. Hardware: one GPU
    with 80 GB, and the hub (or a filled cache). Loss as in UNICOM's fine-tuning: ArcFace, s = 32,
    m = 0.3, AdamW at 1e-5, centres ten times faster. Never run by us at this size: no scores
    are promised, and the time is computed (`--dry-run`).
    """
    config = SweepConfig(
        samples=DataConfig(data=("vlm4bio:VLM4Bio/datasets",)),
        k=(100, 500, 1000, 2000, 3000, 5000, 10000),
        base="open_clip:ViT-H-14/laion2b_s32b_b79k",
        baseline=("open_clip:hf-hub:imageomics/bioclip", "open_clip:hf-hub:imageomics/bioclip-2"),
        seeds=(0, 1, 2),
        embed=EmbedConfig(batch_size=256, dtype="float16"),
        cluster=KMeansConfig(iterations=20),
        train=TrainConfig(mode="finetune", epochs=8, batch_size=128, lr=1e-5, weight_decay=0.0),
    )
    expected = Expected(31450, 742, "VLM4Bio, table 6 and its label files")
    summary = "ViT-H/14 on VLM4Bio at seven k, against BioCLIP and BioCLIP 2 (one GPU)"
    return Recipe("vlm4bio-vit-h14", summary, config, expected)


def vlm4bio_vit_h14_adapter() -> Recipe:
    """The same question in minutes: the tower stays frozen, an adapter on its vectors is trained.

    Command: `syntype recipe vlm4bio-vit-h14-adapter --data vlm4bio:VLM4Bio/datasets`. Hardware:
    any; the one pass of the tower over the pictures is what wants a GPU.
    """
    full = vlm4bio_vit_h14()
    config = replace(full.config, train=TrainConfig())
    summary = "the same with the tower frozen: minutes after one pass over the pictures"
    return Recipe("vlm4bio-vit-h14-adapter", summary, config, full.expected)


def vlm4bio_vit_h14_multi_label() -> Recipe:
    """The same with MLCD's multi-label loss: each picture has its eight nearest clusters.

    Command: `syntype recipe vlm4bio-vit-h14-multi-label --data vlm4bio:VLM4Bio/datasets`.
    Hardware as for the recipe it varies. MLCD found l = 8 best and the optimum in k wider.
    """
    full = vlm4bio_vit_h14()
    config = replace(
        full.config,
        cluster=replace(full.config.cluster, top=8),
        train=replace(full.config.train, form="mlcd", class_fraction=0.1),
    )
    summary = "the same with MLCD's loss over the eight nearest clusters"
    return Recipe("vlm4bio-vit-h14-multi-label", summary, config, full.expected)
