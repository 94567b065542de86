"""A synthetic tree of life: the dataset that syntype carries with it, of any size.

A phylogeny grows from a seed; traits evolve along it; genera, families and orders are cut from
it; every species gets a name, a body (fish, butterfly or bird) and several true modes, and each
picture is painted from its traits. So the right number of clusters is known, close relatives
look alike, and background and view mislead as they do in the field. Nothing is downloaded and
nothing is licensed: the pictures are CC0.

    traits, phylogeny, names, modes   ->  world   the species and who is on which picture
    canvas, patterns, look            ->  fish, butterfly, bird
    backgrounds                       ->  scene   one picture
    config                            ->  write   all pictures, on disk

The same tree grows to six senses, on a planet of its own (`six_write.read_six`):

    planet, niche, range              ->  six     where each species lives and was seen
    tile, song                                    the place from above, the species' voice
    six_config                        ->  six_write   all media, a table of observations, the truth

Torch is not imported here, so that the processes that draw start fast.
"""

from syntype.data.synthetic.config import SIZES, WorldConfig, parse_size
from syntype.data.synthetic.world import Picture, Species, World, grow_world
from syntype.data.synthetic.write import is_drawn, write_world

__all__ = [
    "SIZES",
    "Picture",
    "Species",
    "World",
    "WorldConfig",
    "grow_world",
    "is_drawn",
    "parse_size",
    "write_world",
]
