"""What may be asked: every parameter's name, kind and bounds, in one table for each operation.

Reading and the API's description are made of the same table, so neither can say what the other
does not. A name that an operation does not have is refused, as is one too many of what is given
once: a filter that is misspelt would find everything.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from syntype.search.index import MOST_FACETS
from syntype.search.records import FACETS, HAS
from syntype.search.where import Where, where_of
from syntype.serve.problems import Problem
from syntype.taxonomy.taxon import RANKS

MOST_VALUES = 100
"""Values of one parameter at most."""
LONGEST = 1000
"""Characters of a value at most."""

Kind = Literal["text", "integer", "number"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter.

    Attributes:
        name: As it is written.
        about: What it is.
        many: Whether it may be given often.
        kind: Of a value.
        choices: The values there are; none: any.
        least: The smallest number.
        most: The largest.
        default: What holds where it is not given.
        required: Whether it must be given.
        example: A value, for the description.
        longest: Characters of a value at most.
    """

    name: str
    about: str
    many: bool = False
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    least: int | float | None = None
    most: int | float | None = None
    default: str = ""
    required: bool = False
    example: str = ""
    longest: int = LONGEST

    def schema(self) -> dict[str, Any]:
        """Its values, in JSON Schema."""
        one: dict[str, Any] = {"type": "string" if self.kind == "text" else self.kind}
        if self.kind == "text" and not self.choices:
            one["maxLength"] = self.longest
            if self.required:
                one["minLength"] = 1
        if self.choices:
            one["enum"] = list(self.choices)
        if self.least is not None:
            one["minimum"] = self.least
        if self.most is not None:
            one["maximum"] = self.most
        if self.default:
            one["default"] = _number(self.default) if self.kind != "text" else self.default
        if self.many:
            return {"type": "array", "items": one, "maxItems": MOST_VALUES}
        return one

    def described(self) -> dict[str, Any]:
        """It as OpenAPI has a parameter of a query."""
        found = {
            "name": self.name,
            "in": "query",
            "required": self.required,
            "description": self.about,
            "schema": self.schema(),
        }
        if self.example:
            found["example"] = [self.example] if self.many else self.example
        return found


def _number(text: str) -> float | int:
    return int(text) if text.lstrip("-").isdigit() else float(text)


FILTERS = (
    Parameter(name="box", about="South, west, north, east in degrees; west > east crosses 180.",
              example="-35,110,-10,155"),
    Parameter(name="near", about="Latitude, longitude, kilometres.", example="51.5,-0.12,50"),
    Parameter(name="since", about="First day, month or year.", example="1850"),
    Parameter(name="until", about="Last day, month or year.", example="1950-06"),
    Parameter(name="has", about="What there must be.", many=True, choices=HAS),
    *(Parameter(name=name, about=f"{name} of a record, one of those given; empty: it does not say.",
                many=True) for name in FACETS),
)  # fmt: skip
"""Which records: every condition must hold."""
ID = Parameter(name="id", about="Of the record.", required=True)
GROUPS = ("", "species", "genus", "family")
SEARCH = (
    Parameter(name="text", about="Words that say what is wanted.", many=True),
    Parameter(name="like", about="Ids of records that it is like.", many=True),
    Parameter(name="unlike", about="Ids of records that it is not like, or words behind text:.",
              many=True),
    Parameter(name="weight", about="Weights of images, sounds, texts and records, in this order; "
              "1 where none is given.", many=True, kind="number"),
    Parameter(name="place", about="Latitude, longitude of a place.", example="51.5,-0.12"),
    Parameter(name="climate", about="Latitude, longitude; or 20 numbers of a climate."),
    Parameter(name="n", about="Records at most.", kind="integer", least=1, most=100, default="30"),
    Parameter(name="after", about="`next` of the page before.", longest=16_384),
    Parameter(name="group", about="Gather the records by rank.", choices=GROUPS),
    Parameter(name="diversity", about="0: the most similar; 1: the most different among these.",
              kind="number", least=0, most=1, default="0"),
    *FILTERS,
)  # fmt: skip
"""A search without files."""
FACET = (
    Parameter(name="only", about="Columns to count; all where none is named.", many=True,
              choices=FACETS),
    Parameter(name="most", about="Values of a column at most.", kind="integer", least=1, most=1000,
              default=str(MOST_FACETS)),
    *FILTERS,
)  # fmt: skip
TAXA = (
    Parameter(name="rank", about="Rank of the taxa.", choices=RANKS, default=RANKS[0]),
    Parameter(name="most", about="Taxa at most.", kind="integer", least=1, most=1000,
              default="1000"),
    *FILTERS,
)  # fmt: skip
MAP = (
    Parameter(name="degrees", about="Side of a cell.", kind="number", least=0.05, most=90,
              default="5"),
    *FILTERS,
)  # fmt: skip
SUGGEST = (
    Parameter(name="q", about="Beginning of a name's word.", required=True, example="vane"),
    Parameter(name="n", about="Names at most.", kind="integer", least=1, most=100, default="10"),
)
SIZES = ("240", "480", "960")
THUMBNAIL = (
    ID,
    Parameter(name="size", about="Longer side in pixels.", choices=SIZES, default=SIZES[0]),
)


class Asked:
    """What was asked, checked against a table.

    Args:
        given: Name to values.
        table: The parameters that there are.

    Raises:
        Problem: 400, a name or a value cannot be.
    """

    def __init__(self, given: Mapping[str, Sequence[str]], table: Sequence[Parameter]) -> None:
        self._table = {parameter.name: parameter for parameter in table}
        self._given = given
        for name, values in given.items():
            if name not in self._table:
                known = ", ".join(self._table) or "none"
                raise Problem(400, f"There is no parameter {name[:40]!r} here, but {known}.")
            _check(self._table[name], values)
        for name, parameter in self._table.items():
            if parameter.required and not any(given.get(name, ())):
                raise Problem(400, f"{name} is missing: {parameter.about}")

    def many(self, name: str) -> list[str]:
        """All values of a parameter."""
        return list(self._given.get(name, ()))

    def one(self, name: str) -> str:
        """The value of a parameter, or its default."""
        values = self._given.get(name, ())
        return (values[0] if values else "") or self._table[name].default

    def integer(self, name: str) -> int:
        """Its value as an integer."""
        return int(self.one(name))

    def number(self, name: str) -> float:
        """Its value as a number."""
        return float(self.one(name))

    def numbers(self, name: str) -> list[float]:
        """All its values as numbers."""
        return [float(value) for value in self.many(name)]

    def where(self) -> Where:
        """The conditions.

        Raises:
            UsageError: One cannot be read.
        """
        names = {parameter.name for parameter in FILTERS}
        return where_of({name: values for name, values in self._given.items() if name in names})


def _check(parameter: Parameter, values: Sequence[str]) -> None:
    name = parameter.name
    most = MOST_VALUES if parameter.many else 1
    if len(values) > most:
        raise Problem(400, f"{name} was given {len(values)} times; give it {most} times at most.")
    for value in values:
        if len(value) > parameter.longest:
            raise Problem(400, f"A value of {name} is longer than {parameter.longest} characters.")
        if "\0" in value:
            raise Problem(400, f"A value of {name} holds a zero byte.")
        if parameter.choices and value and value not in parameter.choices:
            raise Problem(400, f"{name} is one of {', '.join(filter(None, parameter.choices))}.")
        if parameter.kind != "text" and (value or parameter.many):
            _check_number(parameter, value)


def _check_number(parameter: Parameter, value: str) -> None:
    least = -math.inf if parameter.least is None else parameter.least
    most = math.inf if parameter.most is None else parameter.most
    try:
        number = int(value) if parameter.kind == "integer" else float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and least <= number <= most):
        bounds = f" from {least:g} to {most:g}" if parameter.least is not None else ""
        raise Problem(400, f"{parameter.name} is a number{bounds}, not {value[:40]!r}.")
