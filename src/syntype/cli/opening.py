"""What most verbs begin with: the workshop over their samples."""

from typing import TYPE_CHECKING

from syntype.configs import EmbedConfig, Samples, Workplace

if TYPE_CHECKING:
    from syntype.sweep import Workshop

DEFAULT_PLACE = Workplace()


def open_workshop(samples: Samples, embed: EmbedConfig, place: Workplace) -> "Workshop":
    """Read the samples; nothing is computed yet."""
    from syntype.sweep import Workshop
    from syntype.terminal import progress_of

    return Workshop.open(samples, embed, place, progress_of(place.quiet))
