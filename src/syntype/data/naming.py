"""Labels to names and lineages, and text as delivered to text that can be compared, by the column.

Work is done once for each distinct value, so a column of millions costs little more than its
distinct values do.
"""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from syntype.taxonomy.cleaning import unicode, white_space
from syntype.taxonomy.taxon import RANKS, Taxon, genus_of


def clean(text: str | None) -> str:
    """Text with ordinary letters and blanks, "" where there is none."""
    if not text:
        return ""
    # Most text is clean already, and to see that is quicker than to clean it.
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return white_space(unicode(text))


def each(column: pa.ChunkedArray, change: Callable[[str | None], str]) -> pa.Array:
    """A column of text with each distinct value changed."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(encoded.type):
        encoded = encoded.dictionary_encode(null_encoding="encode")
    values = [change(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)


def lineage(
    labels: pa.ChunkedArray,
    taxa: Mapping[str | None, Taxon | None],
    given: Mapping[str, pa.ChunkedArray],
) -> dict[str, pa.Array]:
    """The name and the seven ranks of each row: as given, else as the label gives away.

    Args:
        labels: The label of each row.
        taxa: What cleaning made of each label; None for labels that are none.
        given: Columns of ranks as delivered.

    Returns:
        `scientificName` and each of the seven ranks.
    """
    cleaned = {rank: each(given[rank], clean) for rank in RANKS if rank in given}

    def of(part: Callable[[Taxon], str]) -> pa.Array:
        return each(labels, lambda label: part(taxon) if (taxon := taxa.get(label)) else "")

    found = {"scientificName": of(lambda taxon: taxon.scientific_name)}
    for place, rank in enumerate(RANKS):
        derived = of(lambda taxon, place=place: taxon.lineage[place])  # type: ignore[misc]
        if rank == "genus" and "species" in cleaned:
            # A species of its own column may have moved to another genus than the label's.
            own = each(pa.chunked_array([cleaned["species"]]), lambda name: genus_of(name or ""))
            derived = _first(own, derived)
        found[rank] = _first(cleaned[rank], derived) if rank in cleaned else derived
    return found


def _first(column: pa.Array, other: pa.Array) -> pa.Array:
    """Each value of a column, or that of another where it is empty."""
    return pc.if_else(pc.equal(column, ""), other, column)
