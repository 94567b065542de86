"""syntype: how many clusters describe a species best?

Train, evaluate, compare and search image embeddings for biodiversity.
"""

from syntype.version import __version__

__all__ = ["__version__"]
