"""What a search asks for, and which records it may find."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from syntype.configs.check import check

# South and west are negative, so what begins with a hyphen is a value here.
_Degrees = Annotated[str, Parameter(allow_leading_hyphen=True)]


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Which records may be found: every condition must hold, and of several values one."""

    box: _Degrees = ""
    """Found between two parallels and meridians: south,west,north,east in degrees, as in
    -35,110,-10,155; west larger than east crosses the antimeridian."""
    near: _Degrees = ""
    """Found near a place: latitude,longitude,km, as in 51.5,-0.12,50."""
    since: str = ""
    """Found on this day or later: 1913, 1913-05 or 1913-05-27."""
    until: str = ""
    """Found on this day or before."""
    has: tuple[str, ...] = ()
    """What there must be of the occurrence: image, sound, place, date."""
    kingdom: tuple[str, ...] = ()
    """Names of kingdoms."""
    phylum: tuple[str, ...] = ()
    """Names of phyla."""
    class_: Annotated[tuple[str, ...], Parameter(name="class")] = ()
    """Names of classes."""
    order: tuple[str, ...] = ()
    """Names of orders."""
    family: tuple[str, ...] = ()
    """Names of families."""
    genus: tuple[str, ...] = ()
    """Names of genera."""
    species: tuple[str, ...] = ()
    """Names of species."""
    vernacular_name: tuple[str, ...] = ()
    """Common names."""
    taxon_group: tuple[str, ...] = ()
    """Groups that scores are reported by."""
    institution_code: tuple[str, ...] = ()
    """Who keeps the specimen."""
    collection_code: tuple[str, ...] = ()
    """In which collection."""
    dataset_name: tuple[str, ...] = ()
    """Of which set."""
    country_code: tuple[str, ...] = ()
    """Countries, in two letters."""
    state_province: tuple[str, ...] = ()
    """States and provinces."""
    basis_of_record: tuple[str, ...] = ()
    """PreservedSpecimen, HumanObservation ..."""
    type_status: tuple[str, ...] = ()
    """holotype, syntype ..."""
    sex: tuple[str, ...] = ()
    """As delivered."""
    life_stage: tuple[str, ...] = ()
    """As delivered."""
    media_type: tuple[str, ...] = ()
    """StillImage, Sound."""
    license: tuple[str, ...] = ()
    """Licences of the media, as delivered."""

    def parameters(self) -> dict[str, tuple[str, ...]]:
        """What is given, by the names that the web's parameters have (`search.where.where_of`)."""
        found = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value:
                name = _in_darwin_core(field.name)
                found[name] = (value,) if isinstance(value, str) else value
        return found


def _in_darwin_core(name: str) -> str:
    """institution_code as Darwin Core writes it: institutionCode."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """What is asked; nothing lists the records that fit, in the order of their ids."""

    image: tuple[Path, ...] = ()
    """Pictures that what is wanted looks like."""
    sound: tuple[Path, ...] = ()
    """Sounds that it sounds like; needs a space in which sounds are bound."""
    text: tuple[str, ...] = ()
    """Names or phrases that fit it; needs an encoder that reads text."""
    like: tuple[str, ...] = ()
    """Ids of records that it is like."""
    unlike: tuple[str, ...] = ()
    """Ids of records that it is not like, or words that do not fit it behind text:, as in
    "text:larva"."""
    weight: tuple[float, ...] = ()
    """What each counts: pictures, then sounds, texts and records, in the order given; 1 where
    none is left."""
    at: _Degrees = ""
    """Place where it may live, latitude,longitude in degrees; needs a space in which places are
    bound."""
    climate_at: _Degrees = ""
    """Place in whose climate it may live, or the 20 variables of a climate; needs a space in which
    climates are bound."""
    n: int = 10
    """Records, or groups, to show."""
    group: Literal["", "species", "genus", "family"] = ""
    """Gather what is found under its taxa."""
    diversity: float = 0.0
    """How far records that are like one another are kept apart, 0 to 1."""
    after: str = ""
    """Go on behind a page: what it told at its end."""
    device: str = "auto"
    """Where the question is encoded: auto, cpu, cuda, cuda:1, mps."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check(self.n >= 1, "--n must be 1 or more.")
        check(0 <= self.diversity <= 1, "--diversity lies between 0 and 1.")
        check(all(weight > 0 for weight in self.weight), "--weight must be above 0.")


SearchOptions = Annotated[SearchConfig, Parameter(name="*", group="Question")]
FilterOptions = Annotated[FilterConfig, Parameter(name="*", group="Filters")]
