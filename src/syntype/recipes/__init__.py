"""Ready sweeps by name."""

from difflib import get_close_matches

from syntype.errors import UsageError
from syntype.recipes.cluster_discrimination import (
    demo,
    vlm4bio_vit_h14,
    vlm4bio_vit_h14_adapter,
    vlm4bio_vit_h14_multi_label,
)
from syntype.recipes.recipe import Recipe

__all__ = ["RECIPES", "Recipe", "find_recipe"]

RECIPES = {
    recipe.name: recipe
    for recipe in (
        demo(),
        vlm4bio_vit_h14(),
        vlm4bio_vit_h14_adapter(),
        vlm4bio_vit_h14_multi_label(),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"No recipe is called {name}.{hint} They are: {', '.join(RECIPES)}.")
    return RECIPES[name]
