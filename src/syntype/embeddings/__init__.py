"""Unit vectors on disk, kept under the identity of what made them.

`store` is the format and needs NumPy alone; `embed` fills it from pictures or from other vectors
and brings torch, so it is imported by its own name: `from syntype.embeddings.embed import embed`.
"""

from syntype.embeddings.store import Embeddings, Skipped, StoreKey, Writer

__all__ = ["Embeddings", "Skipped", "StoreKey", "Writer"]
