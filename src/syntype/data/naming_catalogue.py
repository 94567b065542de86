"""A catalogue's names resolved by a backbone, every change a row of `names.csv` in its folder."""

from pathlib import Path

from syntype.configs import ResolveConfig
from syntype.data.catalogue import Catalogue, conform, refuse_taken, writing
from syntype.progress import SILENT, Progress
from syntype.provenance import plain
from syntype.taxonomy.resolve import resolve_catalogue

NAMES = "names.csv"


def resolve_names(
    catalogue: Catalogue,
    backbone: Path,
    config: ResolveConfig,
    out: Path,
    *,
    progress: Progress = SILENT,
) -> Catalogue:
    """Write a catalogue whose names are those of a backbone, as far as they were found.

    Args:
        catalogue: The rows; none is left out, and the label as delivered stays.
        backbone: The index.
        config: What counts as found, and what is rewritten.
        out: Folder of the new catalogue.
        progress: Where to say how far it is.

    Raises:
        DataNotFoundError: There is no index.
        DataError: It is no index.
        UsageError: There is something at `out` already.
        ResourceError: The disk is full, or the folder may not be written.
    """
    refuse_taken(out)
    resolution, tables = resolve_catalogue(
        catalogue.scan, backbone, config, progress, len(catalogue)
    )
    with writing(
        out,
        cards=catalogue.header.cards,
        roots=catalogue.header.roots,
        notes=catalogue.notes() | {"names": resolution.notes()},
        history=catalogue.step("resolve", plain(config) | {"backbone": backbone.name}),
    ) as writer:
        for table in tables:
            writer.add(conform(table))
        resolution.write_changes(writer.folder / NAMES)
    return Catalogue.open(out)
