"""A world: species on a phylogeny, their modes, specimens and pictures, all from one seed.

Growing a world draws nothing and takes a fraction of a second; `World.draw` paints any picture by
itself. Every random draw has a name (`provenance.named_seed`), so that a picture depends only on
the config and on its own row.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8

from syntype.data.dataset import SCHEMA, Card
from syntype.data.synthetic.config import WorldConfig
from syntype.data.synthetic.look import look_of, shows
from syntype.data.synthetic.modes import PLANS, Mode, Plan, choose_modes, long_tail, spread
from syntype.data.synthetic.names import GenusName, NameGiver, family_name, order_name
from syntype.data.synthetic.phylogeny import Phylogeny, evolve, grow
from syntype.data.synthetic.scene import paint
from syntype.data.synthetic.traits import TRAIT_NAMES, Traits
from syntype.provenance import named_seed

NAME = "synthetic"
LICENSE = "CC0-1.0"
EXTRA_COLUMNS = ("sex", "lifeStage", "view", "background", "mode")
CARD = Card(
    name=NAME,
    source="A synthetic tree of life, drawn by syntype from a seed; no such species lives.",
    license=LICENSE,
    citation="syntype, synthetic tree of life.",
)
# How much longer each branch counts in the evolution of traits: the least difference of sisters.
_JUMP = 0.12


@dataclass(frozen=True, kw_only=True)
class Species:
    """One species.

    Attributes:
        plan: Its body plan.
        lineage: Rank to name, the keys of `syntype.data.dataset.RANKS`.
        vernacular: Its common name.
        traits: What it inherits.
        ancestral: Traits where its genus branched off, which its young and drab forms recall.
        modes: Its true modes, common ones first.
        n_images: Its pictures.
    """

    plan: Plan
    lineage: Mapping[str, str]
    vernacular: str
    traits: Traits
    ancestral: Traits
    modes: tuple[Mode, ...]
    n_images: int

    @property
    def name(self) -> str:
        """The binomial."""
        return self.lineage["species"]


@dataclass(frozen=True)
class Picture:
    """Who is on a picture: numbers of species, mode and specimen, all from 0, and of the file."""

    species: int
    mode: int
    specimen: int
    number: int


@dataclass(frozen=True, eq=False)
class World:
    """A grown world; its pictures are painted when asked for.

    Attributes:
        config: What it grew from.
        tree: The phylogeny; its tips are the species, in order.
        species: The species: fish, butterflies, birds.
        pictures: The pictures, one per row of the table.
    """

    config: WorldConfig
    tree: Phylogeny
    species: Sequence[Species]
    pictures: Sequence[Picture]

    def __len__(self) -> int:
        return len(self.pictures)

    @cached_property
    def modes_per_species(self) -> dict[str, int]:
        """Species to the number of its modes that at least one picture shows."""
        seen = {(picture.species, picture.mode) for picture in self.pictures}
        return dict(Counter(self.species[species].name for species, _ in sorted(seen)))

    @property
    def n_true_modes(self) -> int:
        """Modes that at least one picture shows: the right number of clusters."""
        return sum(self.modes_per_species.values())

    def locator(self, row: int) -> str:
        """Path of picture `row`, relative to the folder of the world."""
        picture = self.pictures[row]
        folder = self.species[picture.species].name.replace(" ", "_")
        return f"images/{folder}/{picture.number:04d}.jpg"

    def _unit(self, picture: Picture) -> str:
        return f"{self.species[picture.species].name.replace(' ', '_')}-{picture.specimen:04d}"

    def table(self, digests: Iterable[str] | None = None) -> pa.Table:
        """The catalogue: the columns of `SCHEMA`, then `EXTRA_COLUMNS`.

        Args:
            digests: SHA-256 of each picture's file; "" where none are given.
        """
        digests = [""] * len(self) if digests is None else list(digests)
        rows = []
        for row, (picture, digest) in enumerate(zip(self.pictures, digests, strict=True)):
            species = self.species[picture.species]
            mode = species.modes[picture.mode]
            rows.append(
                {
                    "id": f"{NAME}/{self.locator(row)}",
                    "datasetName": NAME,
                    "image": self.locator(row),
                    "imageDigest": digest,
                    "verbatimIdentification": species.name,
                    "scientificName": species.name,
                    **species.lineage,
                    "vernacularName": species.vernacular,
                    "taxonGroup": species.plan.group,
                    "unit": self._unit(picture),
                    "split": "",
                    "license": LICENSE,
                    "sex": mode.sex,
                    "lifeStage": mode.life_stage,
                    "view": mode.view,
                    "background": mode.background,
                    "mode": f"{species.name}: {mode.label}",
                }
            )
        extra = [pa.field(name, pa.string()) for name in EXTRA_COLUMNS]
        return pa.Table.from_pylist(rows, schema=pa.schema([*SCHEMA, *extra]))

    def draw(self, row: int) -> UInt8[np.ndarray, "h w 3"]:
        """Picture `row`, sRGB; it depends on the config and the row only.

        Raises:
            IndexError: There is no such row.
        """
        picture = self.pictures[row]
        species = self.species[picture.species]
        mode = species.modes[picture.mode]
        unit = self._unit(picture)
        seed = self.config.seed
        specimen = np.random.default_rng(named_seed(seed, "specimen", unit))
        shot = np.random.default_rng(named_seed(seed, "shot", unit, picture.number))
        look = look_of(species.traits, species.ancestral, mode, specimen)
        return paint(
            look,
            mode,
            species.plan.group,
            size=self.config.image_size,
            nuisance=self.config.nuisance,
            specimen=specimen,
            shot=shot,
        )


def _generator(config: WorldConfig, *names: str | int) -> np.random.Generator:
    return np.random.default_rng(named_seed(config.seed, *names))


def _thirds(n: int) -> list[int]:
    """Species per body plan, as equal as can be."""
    return [n // 3 + (place < n % 3) for place in range(3)]


def _pictures_per_species(config: WorldConfig, sizes: list[int]) -> list[int]:
    """Pictures of each species; ranks go to and fro between the plans, so that each gets a share.

    Within a plan the ranks are shuffled.
    """
    counts = long_tail(config.n_species, config.n_images, config.tail, config.n_singletons)
    shares: list[list[int]] = [[], [], []]
    turns = [0, 1, 2, 2, 1, 0] * config.n_species
    for count in counts:
        turn = next(i for i, plan in enumerate(turns) if len(shares[plan]) < sizes[plan])
        shares[turns[turn]].append(int(count))
        turns = turns[turn + 1 :]
    shuffle = _generator(config, "abundance")
    return [int(n) for share in shares for n in shuffle.permutation(share)]


@dataclass(frozen=True)
class _Ranks:
    """Crown nodes that each species of a plan descends from."""

    genus: np.ndarray
    family: np.ndarray
    order: np.ndarray


def _cut(tree: Phylogeny, tips: np.ndarray) -> _Ranks:
    """About 2.5 species per genus, 2 genera per family and 2.5 families per order."""
    n_genera = -(-len(tips) * 2 // 5)
    n_families = -(-n_genera // 2)
    n_orders = -(-n_families * 2 // 5)
    return _Ranks(*(tree.clades(tips, k) for k in (n_genera, n_families, n_orders)))


@dataclass
class _Naming:
    """Names of clades, by their crown nodes: the first genus of a family names it."""

    giver: NameGiver
    class_: str
    genera: dict[int, GenusName]
    families: dict[int, str]
    orders: dict[int, str]

    def lineage(self, plan: Plan, genus: int, family: int, order: int) -> dict[str, str]:
        if genus not in self.genera:
            self.genera[genus] = self.giver.genus(self.class_)
        type_genus = self.genera[genus]
        return {
            "kingdom": "Animalia",
            "phylum": plan.phylum,
            "class": plan.class_,
            "order": self.orders.setdefault(order, order_name(type_genus, self.class_)),
            "family": self.families.setdefault(family, family_name(type_genus)),
            "genus": type_genus.name,
        }


def _species_of_plan(
    config: WorldConfig,
    plan: Plan,
    tree: Phylogeny,
    tips: np.ndarray,
    values: np.ndarray,
    counts: list[int],
    giver: NameGiver,
) -> list[Species]:
    ranks = _cut(tree, tips)
    naming = _Naming(giver, plan.class_, {}, {}, {})
    found = []
    for i, tip in enumerate(tips):
        traits = Traits.from_array(values[tip])
        lineage = naming.lineage(
            plan, int(ranks.genus[i]), int(ranks.family[i]), int(ranks.order[i])
        )
        name, vernacular = giver.species(naming.genera[int(ranks.genus[i])], shows(traits))
        rng = _generator(config, "modes", plan.group, i)
        n_modes = int(rng.integers(config.min_modes, config.max_modes + 1))
        found.append(
            Species(
                plan=plan,
                lineage={**lineage, "species": name},
                vernacular=vernacular,
                traits=traits,
                ancestral=Traits.from_array(values[tree.parent[ranks.genus[i]]]),
                modes=choose_modes(plan, n_modes, rng),
                n_images=counts[i],
            )
        )
    return found


def _photograph(config: WorldConfig, species: Sequence[Species]) -> list[Picture]:
    pictures = []
    for index, one in enumerate(species):
        rng = _generator(config, "specimens", one.name)
        number = 0
        for specimen, (mode, shots) in enumerate(spread(one.n_images, one.modes, rng)):
            for _ in range(shots):
                pictures.append(Picture(index, mode, specimen, number))
                number += 1
    return pictures


def grow_world(config: WorldConfig) -> World:
    """The world of `config`: its species, modes and pictures, none of them painted yet."""
    sizes = _thirds(config.n_species)
    tree = grow(sizes, _generator(config, "phylogeny"))
    values = evolve(tree, len(TRAIT_NAMES), _generator(config, "traits"), jump=_JUMP)
    counts = _pictures_per_species(config, sizes)
    giver = NameGiver(_generator(config, "names"))
    species: list[Species] = []
    for plan, size in zip(PLANS, sizes, strict=True):
        span = slice(len(species), len(species) + size)
        species += _species_of_plan(
            config, plan, tree, tree.tips[span], values, counts[span], giver
        )
    return World(config, tree, species, _photograph(config, species))
