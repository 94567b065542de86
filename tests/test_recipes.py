import pytest

from syntype.errors import UsageError
from syntype.recipes import RECIPES, find_recipe
from syntype.recipes.cluster_discrimination import vlm4bio_vit_h14


def test_the_real_experiment_is_the_published_one() -> None:
    config = find_recipe("vlm4bio-vit-h14").config
    assert config.base == "open_clip:ViT-H-14/laion2b_s32b_b79k"
    assert config.k == (100, 500, 1000, 2000, 3000, 5000, 10000)
    assert config.baseline == (
        "open_clip:hf-hub:imageomics/bioclip",
        "open_clip:hf-hub:imageomics/bioclip-2",
    )
    assert config.train.mode == "finetune"
    assert find_recipe("vlm4bio-vit-h14").expected.n_species == 742


def test_variants_differ_only_where_they_say() -> None:
    full, adapter = vlm4bio_vit_h14().config, find_recipe("vlm4bio-vit-h14-adapter").config
    assert adapter.train.mode == "adapt"
    assert (adapter.k, adapter.base, adapter.baseline) == (full.k, full.base, full.baseline)


def test_a_recipe_can_be_pointed_at_its_data() -> None:
    recipe = find_recipe("demo")
    assert recipe.with_data(()) is recipe
    assert recipe.with_data(("here",)).config.samples.data == ("here",)


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="vlm4bio-vit-h14"):
        find_recipe("vlm4bio-vit-h15")


def test_names_are_what_they_are_found_by() -> None:
    assert all(name == recipe.name for name, recipe in RECIPES.items())
