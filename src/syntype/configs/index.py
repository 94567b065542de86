"""What goes into an index, and how."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.configs.check import check

Engine = Literal["cells", "exact", "postgres"]


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """What makes the vectors, and which engine keeps them."""

    encoder: str = "descriptors"
    """Spec of the encoder, or the folder of a bound space; descriptors need no weights and know
    colours and shapes only. An index that exists keeps its own."""
    engine: Engine = "cells"
    """cells: a folder, searched by its likely cells; exact: a folder, every record compared;
    postgres: a server, where --to is its URL."""
    vectors: Path | None = None
    """Folder of vectors that `syntype embed` made of these pictures, to be taken as they are."""
    batch_size: int = 32
    """Pictures that are encoded together."""
    offline: bool = False
    """Fetch no pictures: take those that are here, and leave out records that only have an address
    of one."""
    reread: bool = False
    """Encode every picture again, also those whose records are there unchanged."""
    prune: bool = False
    """Delete records that are in the index and not in the source."""
    license: str = ""
    """Licence of the media whose records do not say theirs, as in CC0-1.0."""
    rights_holder: str = ""
    """Who holds the rights in them, likewise."""
    limit: int = 0
    """Of a search of GBIF or iDigBio, the most records; 0 asks for all."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check(self.batch_size >= 1, "--batch-size must be at least 1.")
        check(self.limit >= 0, "--limit must be 0 (all) or more.")


IndexOptions = Annotated[IndexConfig, Parameter(name="*", group="Index")]
