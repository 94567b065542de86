"""All large sets by name."""

from collections.abc import Mapping

from syntype.data.collections import bioscan_1m, biotrove, tree_of_life_10m, tree_of_life_200m
from syntype.data.collections.collection import Collection

COLLECTIONS: Mapping[str, Collection] = {
    module.COLLECTION.name: module.COLLECTION
    for module in (tree_of_life_10m, tree_of_life_200m, bioscan_1m, biotrove)
}
