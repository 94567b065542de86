"""How the two costly stages make their artefact: clusters of the training split, and a trained
encoder. The workshop decides whether and where; this decides what goes in.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
