"""A collection to search where nothing can be downloaded: drawn, and bound to be asked by words.

Command: `syntype demo --search`, or `make demo-search`. A planet of its own with 30 species and
800 pictures, places and songs; an encoder trained from nothing on their names, to which places,
sounds and climates are bound; a page to search it by any of these. About three minutes on two
processors, no weights and no network.
"""

from pathlib import Path

from syntype.configs import Workplace
from syntype.configs.bind import BindConfig
from syntype.progress import SILENT, Progress
from syntype.sweep.binding import bind_space, spaces_of

SOURCE = "synthetic-six:species=30,observations=800,size=96,tile=32,seconds=1.5,rate=16000"
TITLE = "A planet of its own"
_ENCODER = "untrained:resnet10t?size=64"
_SENSES = {
    "place": "untrained:place-sphere",
    "sound": "untrained:sound-small?seconds=1.5",
    "climate": "untrained:climate-values",
}
_BINDING = BindConfig(
    warm_epochs=16, epochs=8, unlocked_epochs=0, batch_size=128, background="observations"
)


def search_demo_space(place: Workplace, progress: Progress = SILENT) -> Path:
    """The folder of the space that the demonstration is searched in; made where it is missing.

    Args:
        place: Where to work.
        progress: Where to say how far it is.

    Raises:
        ResourceError: The disk is full, or a folder may not be written.
    """
    folder = bind_space(SOURCE, _ENCODER, _SENSES, _BINDING, place, progress)
    return folder / next(one.folder for one in spaces_of(folder) if one.role == "locked")
