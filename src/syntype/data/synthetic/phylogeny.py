"""A random phylogeny, its cut into ranks, and the evolution of traits along it.

Each class grows by a pure-birth process (Yule 1925) conditioned on its number of species: with k
lineages the next split comes after an exponential time of rate k and splits one of them at random.
The tree is scaled to a crown age of 1, so it is ultrametric, and a cut at the age where it has k
lineages gives k clades; cuts at rising ages give genera within families within orders. A backbone
of fixed ages joins the classes.

Traits follow an Ornstein-Uhlenbeck process (Hansen 1997) that starts in its stationary law
N(0, 1): over a branch of length t a trait keeps a share exp(-rate t) of its value and gains fresh
noise. Every branch also counts as `jump` longer than it is, a punctuated part without which the
youngest sister species could not be told apart. What `drift` moves is Brownian motion instead
(Felsenstein 1985), which has no home to return to: kinship shows over the whole depth of the tree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

CHORDATE_AGE = 1.4
ROOT_AGE = 1.7


@dataclass(frozen=True, eq=False)
class Phylogeny:
    """A rooted tree; nodes are numbered so that a parent comes before its children.

    Attributes:
        parent: Parent of each node, -1 for the root, node 0.
        age: Age of each node, crown age of a class = 1; 0 for tips.
        tips: Nodes of the species, in the order of the species.
    """

    parent: Int[np.ndarray, "nodes"]
    age: Float[np.ndarray, "nodes"]
    tips: Int[np.ndarray, "species"]

    def ancestors(self, node: int) -> list[int]:
        """The nodes from `node` (included) up to the root."""
        path = [node]
        while self.parent[path[-1]] >= 0:
            path.append(int(self.parent[path[-1]]))
        return path

    @cached_property
    def distances(self) -> Float[np.ndarray, "species species"]:
        """Patristic distance of each pair of species: the way up to the ancestor and down again."""
        paths = [self.ancestors(int(tip)) for tip in self.tips]
        found = np.zeros((len(paths), len(paths)))
        for i, path in enumerate(paths):
            above = set(path)
            for j in range(i):
                shared = next(node for node in paths[j] if node in above)
                found[i, j] = found[j, i] = 2 * self.age[shared]
        return found

    def clades(self, tips: Int[np.ndarray, "n"], k: int) -> Int[np.ndarray, "n"]:
        """The crown node of each of `tips` when their tree is cut into `k` clades.

        Args:
            tips: All species of one class.
            k: Number of clades, 1 to the number of tips.
        """
        within = {node for tip in tips for node in self.ancestors(int(tip))}
        crown = max(self._shared(tips), key=lambda node: node)
        inner = [node for node in within if node >= crown and self.age[node] > 0]
        split = set(sorted(inner, key=lambda node: -self.age[node])[: k - 1])
        return np.array(
            [
                next(
                    node
                    for node in self.ancestors(int(tip))
                    if node == crown or int(self.parent[node]) in split
                )
                for tip in tips
            ]
        )

    def _shared(self, tips: Int[np.ndarray, "n"]) -> set[int]:
        """Nodes above all of `tips`."""
        return set.intersection(*(set(self.ancestors(int(tip))) for tip in tips))


def _birth_tree(n: int, rng: np.random.Generator) -> tuple[list[int], list[float]]:
    """Parents (-1 for the crown) and ages of a Yule tree of `n` tips and crown age 1."""
    parent, born = [-1], [0.0]
    alive, time = [0], 0.0
    while len(alive) < n:
        if len(alive) > 1:
            time += rng.exponential(1 / len(alive))
        split = alive.pop(int(rng.integers(len(alive))))
        born[split] = time
        for _ in range(2):
            alive.append(len(parent))
            parent.append(split)
            born.append(np.inf)
    if n == 1:
        return parent, [0.0]
    end = time + rng.exponential(1 / n)
    return parent, [max(0.0, 1 - when / end) for when in born]


def grow(sizes: Sequence[int], rng: np.random.Generator) -> Phylogeny:
    """A tree of three classes of `sizes` species, in the order fish, insects, birds."""
    parent, age = [-1, 0], [ROOT_AGE, CHORDATE_AGE]
    tips: list[int] = []
    for n, stem in zip(sizes, (1, 0, 1), strict=True):
        base = len(parent)
        parents, ages = _birth_tree(n, rng)
        parent += [stem if above < 0 else base + above for above in parents]
        age += ages
        tips += [base + node for node, when in enumerate(ages) if when == 0.0]
    return Phylogeny(np.array(parent), np.array(age), np.array(tips))


def evolve(
    tree: Phylogeny, n_traits: int, rng: np.random.Generator, *, rate: float = 0.7, jump: float
) -> Float[np.ndarray, "nodes traits"]:
    """Trait values of every node, each trait N(0, 1) over worlds, alike in close relatives."""
    values = np.empty((len(tree.parent), n_traits))
    values[0] = rng.standard_normal(n_traits)
    for node in range(1, len(values)):
        above = int(tree.parent[node])
        kept = np.exp(-rate * (tree.age[above] - tree.age[node] + jump))
        noise = rng.standard_normal(n_traits)
        values[node] = kept * values[above] + np.sqrt(1 - kept**2) * noise
    return values


def drift(
    tree: Phylogeny, n_traits: int, rng: np.random.Generator, *, jump: float
) -> Float[np.ndarray, "nodes traits"]:
    """Values of every node by Brownian motion from 0 at the root; at the tips about N(0, 1)."""
    values = np.zeros((len(tree.parent), n_traits))
    for node in range(1, len(values)):
        above = int(tree.parent[node])
        time = (tree.age[above] - tree.age[node] + jump) / ROOT_AGE
        values[node] = values[above] + np.sqrt(time) * rng.standard_normal(n_traits)
    return values
