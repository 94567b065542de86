"""Which column of a table holds what: as the user says, else guessed from a list of synonyms.

Two names need care, and a look at the values. `group` is the taxon group if it never divides a
species and has fewer values than there are species, else the independent unit. Integer codes are
no labels while another column could be the label.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syntype.configs import DataConfig
from syntype.data.records import Column
from syntype.data.units import column_key, unit_column
from syntype.errors import DataError, UsageError

_UNITS = (
    "unit unitid track trackid specimen specimenid individual individualid identity organismid "
    "observation observationid occurrenceid catalognumber materialentityid materialsampleid "
    "sequenceid seqid groupid"
)
_IMAGES = (
    "image path imagepath imgpath filepath filename file imagefile imagefilename img "
    "relativepath filenameasdelivered locator"
)
_LABELS = (
    "label scientificname species speciesname taxon taxonname binomial binomialname "
    "acceptedname canonicalname category class classname clsname verbatimidentification"
)
SYNONYMS: Mapping[str, Sequence[str]] = {
    "image": _IMAGES.split(),
    "imageDigest": ["imagedigest", "sha256"],
    "label": _LABELS.split(),
    "verbatimIdentification": ["verbatimidentification", "verbatimscientificname", "verbatimlabel"],
    "kingdom": ["kingdom"],
    "phylum": ["phylum", "division"],
    "class": ["class", "cls", "taxonclass"],
    "order": ["order", "taxonorder"],
    "family": ["family"],
    "genus": ["genus"],
    "species": ["species"],
    "vernacularName": ["vernacularname", "commonname", "common", "vernacular", "englishname"],
    "taxonGroup": ["taxongroup", "organismgroup", "speciesgroup", "iconictaxonname", "supergroup"],
    "unit": _UNITS.split(),
    "split": ["split", "subset", "partition", "datasplit", "splitname"],
    "license": ["license", "licence", "imagelicense", "rights"],
}
"""Term to the column names that are taken for it, the likeliest first. Names are compared in small
letters, without blanks and punctuation, and without a prefix such as `dwc:`."""

_SAME_TERM = {"species": "label", "scientificName": "label", "group": "taxonGroup"}
_AMBIGUOUS = "group"


@dataclass(frozen=True)
class Mapped:
    """Which column holds which term.

    Attributes:
        columns: Term to the table's own name of its column, or to what makes the unit.
        values: Term to the values of its column.
        guessed: The terms that nobody named.
    """

    columns: Mapping[str, str]
    values: Mapping[str, Column]
    guessed: Sequence[str]


def map_columns(table: Mapping[str, Column], name: str, config: DataConfig) -> Mapped:
    """Map the terms to the columns of `table`.

    Args:
        table: The table's columns by their own names.
        name: Name of the set, for messages and for options that speak to one set.
        config: Its `column` and `unit` name columns.

    Raises:
        UsageError: An option is malformed or names a column that is not there.
        DataError: No column looks like the pictures' paths, or like the labels.
    """
    named = _named_columns(name, config)
    if unit := named.get("unit"):
        table = {**table, unit: unit_column(table, unit, name)}
    for term, column in named.items():
        if column not in table:
            raise UsageError(
                f"{name} has no column {column!r}, which the options name as {term!r}. Its columns "
                f"are: {', '.join(table)}. To speak to one of several sets write --column "
                f"{name}.{term}=NAME."
            )
    columns = dict(named)
    spare = {column_key(column): column for column in reversed(list(table))}
    spare = {key: column for key, column in spare.items() if column not in named.values()}
    # The label goes first: what it takes (`species`, `class`) is no rank any more.
    for term in sorted(SYNONYMS, key=lambda term: term != "label"):
        if term not in columns:
            keys = [key for key in SYNONYMS[term] if key in spare]
            if term == "label":
                keys.sort(key=lambda key: _are_codes(table[spare[key]]))
            if keys:
                columns[term] = spare.pop(keys[0])
    for term, hint in (("image", "the pictures' paths"), ("label", "the labels")):
        if term not in columns:
            raise DataError(
                f"{name}: no column looks like {hint}. Name it with --column {term}=NAME; the "
                f"columns are: {', '.join(table)}."
            )
    if _AMBIGUOUS in spare:
        term = _meaning_of_group(table[spare[_AMBIGUOUS]], table[columns["label"]])
        columns.setdefault(term, spare[_AMBIGUOUS])
    values = {term: table[column] for term, column in columns.items()}
    return Mapped(columns, values, sorted(columns.keys() - named.keys()))


def _named_columns(name: str, config: DataConfig) -> dict[str, str]:
    """Term to column, as the options say; what speaks to this set alone goes before the rest."""
    general, special = {}, {}
    for option in config.column:
        term, equals, column = option.partition("=")
        of_set, dot, term = term.strip().rpartition(".")
        term = _SAME_TERM.get(term, term)
        if not equals or not column or term not in SYNONYMS:
            raise UsageError(
                f"--column {option} is not TERM=NAME, where TERM is one of: {', '.join(SYNONYMS)}."
            )
        if not dot:
            general[term] = column
        elif of_set == name:
            special[term] = column
    if config.unit:
        general["unit"] = config.unit
    return general | special


def _are_codes(values: Column) -> bool:
    known = {value for value in values if value}
    return bool(known) and all(value.isdecimal() for value in known)


def _meaning_of_group(groups: Column, labels: Column) -> str:
    """Whether a column called `group` holds taxon groups or independent units."""
    of_label: dict[str, set[str]] = defaultdict(set)
    for group, label in zip(groups, labels, strict=True):
        if group and label:
            of_label[label].add(group)
    whole = all(len(found) == 1 for found in of_label.values())
    n_groups = len(set().union(*of_label.values()))
    return "taxonGroup" if whole and n_groups < len(of_label) else "unit"
