"""The NCEAS benchmark of species distributions (Elith et al. 2020), as `disdat` publishes it.

    AWTtrain_po.csv.gz   AWTtrain_bg.csv.gz   AWTtest_env_bird.csv.gz   AWTtest_pa_bird.csv.gz ...

Presences from museums and atlases to learn from, and surveys that looked for every species at
every site to test on: 226 anonymised species of six regions, 11 to 13 variables each. Tables are
CSV, gzipped or not, with the columns of the R package. Elith et al., "Presence-only and
Presence-absence Data for Comparing Species Distribution Modeling Methods", Biodiversity
Informatics 15, 2020, doi:10.17161/bi.v15i2.13384.

Coordinates are degrees or metres, by region. Metres cannot be turned into degrees for all regions
(Switzerland's lie off its map), so `plane` gives kilometres on a plane, or in space, for all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from syntype.errors import DataError, DataNotFoundError, UsageError

Predictors = Literal["published", "all"]
_KM_PER_DEGREE = 111.195
_KEYS = ("siteid", "spid", "x", "y", "occ", "group")
_N_ACROSS = 10  # blocks along the longer side of a region


@dataclass(frozen=True, kw_only=True)
class Region:
    """What is known of a region beforehand.

    Attributes:
        name: Its code.
        title: Where it is.
        in_degrees: Whether x and y are longitude and latitude; else metres.
        epsg: Reference system, as the package says.
        published: Variables that Valavi et al. (Ecological Monographs 92, 2022) kept, leaving out
            correlated ones.
        classes: Variables that are classes, not amounts.
    """

    name: str
    title: str
    in_degrees: bool
    epsg: int
    published: tuple[str, ...]
    classes: tuple[str, ...] = ()


def _region(
    name: str, title: str, in_degrees: bool, epsg: int, published: str, classes: str = ""
) -> Region:
    return Region(
        name=name,
        title=title,
        in_degrees=in_degrees,
        epsg=epsg,
        published=tuple(published.split()),
        classes=tuple(classes.split()),
    )


REGIONS: Mapping[str, Region] = {
    region.name: region
    for region in (
        _region("AWT", "Australian Wet Tropics", False, 28355,
                "bc04 bc05 bc06 bc12 bc15 slope topo tri"),
        _region("CAN", "Ontario, Canada", True, 4008,
                "alt asp2 ontprec ontslp onttemp ontveg watdist", "ontveg"),
        _region("NSW", "New South Wales", True, 4326,
                "cti disturb mi rainann raindq rugged soildepth soilfert solrad tempann topo "
                "vegsys", "vegsys"),
        _region("NZ", "New Zealand", False, 27200,
                "age deficit hillshade mas mat r2pet slope sseas toxicats tseas vpd",
                "age toxicats"),
        _region("SA", "South America", True, 4326,
                "sabio12 sabio15 sabio17 sabio18 sabio2 sabio4 sabio5 sabio6"),
        _region("SWI", "Switzerland", False, 21781,
                "bcc calc ccc ddeg nutri pday precyy sfroyy slope sradyy swb topo", "calc"),
    )
}  # fmt: skip
"""The six regions by their codes."""


@dataclass(frozen=True, kw_only=True)
class Sites:
    """Sites of a region: n of them.

    Attributes:
        site: Name of each (n,).
        x: Longitude in degrees or easting in metres (n,).
        y: Latitude in degrees or northing in metres (n,).
        variables: (n, v), in the order of `RegionData.predictors`.
    """

    site: NDArray[Any]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    variables: NDArray[np.float64]

    def __len__(self) -> int:
        """How many."""
        return len(self.site)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "Sites":
        """Some of the sites."""
        return Sites(
            site=self.site[rows],
            x=self.x[rows],
            y=self.y[rows],
            variables=self.variables[rows],
        )


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A survey of one group of species: everything was looked for at every site.

    Attributes:
        sites: Where.
        present: For each species, whether it was found at each site.
    """

    sites: Sites
    present: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class RegionData:
    """All tables of a region.

    Attributes:
        region: What it is.
        predictors: Names of the variables.
        presences: Records to learn from; a site may come once for each species.
        species: Species of each record.
        groups: Group of each species.
        background: Random sites of the region.
        surveys: By group.
    """

    region: Region
    predictors: tuple[str, ...]
    presences: Sites
    species: NDArray[Any]
    groups: Mapping[str, str]
    background: Sites
    surveys: Mapping[str, Survey]

    @property
    def is_class(self) -> NDArray[np.bool_]:
        """Which variables are classes (v,)."""
        return np.array([name in self.region.classes for name in self.predictors])

    def of(self, species: str) -> Sites:
        """The presences of a species."""
        return self.presences.take(self.species == species)

    def survey_of(self, species: str) -> Survey:
        """The survey that looked for a species."""
        return self.surveys[self.groups[species]]

    def target_group(self, species: str) -> Sites:
        """Sites where anything of the species' group was recorded, each once.

        As a background they carry the same bias of where people look (Phillips et al.,
        "Sample selection bias and presence-only distribution models", Ecological Applications 19,
        2009).
        """
        group = self.groups[species]
        alike = np.array([self.groups[name] == group for name in self.species])
        sites = self.presences.take(alike)
        places = np.stack([sites.x, sites.y], axis=1)
        first = np.unique(places, axis=0, return_index=True)[1]
        return sites.take(np.sort(first))

    def blocks(self, sites: Sites) -> list[str]:
        """The block of each site: squares, ten along the longer side of the background."""
        return blocks_of(sites, size_km=self.block_km, in_degrees=self.region.in_degrees)

    @property
    def block_km(self) -> float:
        """Side of a block, kilometres."""
        x, y = self.background.x, self.background.y
        if self.region.in_degrees:
            middle = math.cos(math.radians(float(y.mean())))
            sides = (np.ptp(x) * _KM_PER_DEGREE * middle, np.ptp(y) * _KM_PER_DEGREE)
        else:
            sides = (np.ptp(x) / 1000, np.ptp(y) / 1000)
        return float(max(sides)) / _N_ACROSS

    def plane(self, sites: Sites) -> NDArray[np.float64]:
        """Kilometres (n, 3): in space where there are degrees, else on a plane (third is 0)."""
        if not self.region.in_degrees:
            middle = (self.background.x.mean(), self.background.y.mean())
            flat = [(sites.x - middle[0]) / 1000, (sites.y - middle[1]) / 1000]
            return np.stack([*flat, np.zeros(len(sites))], axis=1)
        east, north = np.radians(sites.x), np.radians(sites.y)
        around = np.cos(north)
        points = np.stack([around * np.cos(east), around * np.sin(east), np.sin(north)], axis=1)
        return points * math.degrees(1) * _KM_PER_DEGREE


def blocks_of(sites: Sites, *, size_km: float, in_degrees: bool) -> list[str]:
    """Squares of the map; in degrees, bands of latitude cut into parts about as wide as high."""
    if in_degrees:
        rows = np.floor(sites.y * _KM_PER_DEGREE / size_km)
        middle = np.radians(np.clip((rows + 0.5) * size_km / _KM_PER_DEGREE, -90, 90))
        columns = np.floor(sites.x * _KM_PER_DEGREE * np.cos(middle) / size_km)
    else:
        rows = np.floor(sites.y / 1000 / size_km)
        columns = np.floor(sites.x / 1000 / size_km)
    return [f"{int(row)}/{int(column)}" for row, column in zip(rows, columns, strict=True)]


def read_region(folder: Path, name: str, predictors: Predictors = "published") -> RegionData:
    """Read a region.

    Args:
        folder: Where the tables lie.
        name: Code of the region.
        predictors: "published" takes the variables that the published comparison kept, "all" all
            that there are.

    Raises:
        UsageError: There is no such region.
        DataNotFoundError: A table is missing.
        DataError: A table lacks a column, a number is missing, or two tables do not fit.
    """
    if name not in REGIONS:
        raise UsageError(f"There is no region {name!r}. There are {', '.join(REGIONS)}.")
    region = REGIONS[name]
    presences = _read(folder, f"{name}train_po")
    chosen = region.published
    if predictors == "all":
        chosen = tuple(key for key in presences if key not in _KEYS)
    surveys = {
        group: _survey(folder, name, suffix, chosen)
        for group, suffix in _groups(folder, name).items()
    }
    species = _texts(presences, "spid", folder)
    group_of = dict(zip(species.tolist(), _texts(presences, "group", folder).tolist(), strict=True))
    unknown = sorted(
        one
        for one, group in group_of.items()
        if group not in surveys or one not in surveys[group].present
    )
    if unknown:
        raise DataError(
            f"{folder}: no survey of {name} looked for {', '.join(unknown)}. Its tables "
            f"{name}test_pa*.csv.gz do not belong to {name}train_po.csv.gz."
        )
    return RegionData(
        region=region,
        predictors=chosen,
        presences=_sites(presences, chosen, folder),
        species=species,
        groups=group_of,
        background=_sites(_read(folder, f"{name}train_bg"), chosen, folder),
        surveys=surveys,
    )


def _groups(folder: Path, name: str) -> dict[str, str]:
    """The groups that were surveyed apart, and how their tables' names end.

    Where there is one table for all, its group is told by its own column.
    """
    pattern = f"{name}test_pa"
    ends = sorted(
        {path.name.partition(".")[0].removeprefix(pattern) for path in folder.glob(f"{pattern}*")}
    )
    if not ends:
        raise DataNotFoundError(f"{folder} holds no {pattern}*.csv.gz. Is it a folder of disdat?")
    if ends == [""]:
        return {str(_read(folder, pattern)["group"][0]): ""}
    return {end.removeprefix("_"): end for end in ends}


def _survey(folder: Path, name: str, end: str, predictors: Sequence[str]) -> Survey:
    found = _read(folder, f"{name}test_pa{end}")
    sites = _sites(_read(folder, f"{name}test_env{end}"), predictors, folder)
    if not np.array_equal(_texts(found, "siteid", folder), sites.site):
        raise DataError(
            f"{folder}: {name}test_pa{end} and {name}test_env{end} do not list the same sites in "
            "the same order. Fetch both again."
        )
    present = {
        key: np.asarray(column.to_numpy(zero_copy_only=False)) > 0
        for key, column in found.items()
        if key not in _KEYS
    }
    return Survey(sites=sites, present=present)


def _read(folder: Path, stem: str) -> dict[str, pa.ChunkedArray]:
    """The columns of a table."""
    paths = [folder / f"{stem}{end}" for end in (".csv.gz", ".csv")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise DataNotFoundError(f"{folder} holds no {stem}.csv.gz. Is it a folder of disdat?")
    options = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(("siteid", "spid", "group"), pa.string()),
        strings_can_be_null=False,
        null_values=["NA", ""],
    )
    try:
        table = pyarrow.csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as a table: {reason}. Fetch it again.") from error
    return {name: table.column(name) for name in table.column_names}


def _texts(table: Mapping[str, pa.ChunkedArray], name: str, folder: Path) -> NDArray[Any]:
    if name not in table:
        raise DataError(f"A table in {folder} has no column {name}. Is it a folder of disdat?")
    return np.array(table[name].to_pylist(), dtype=np.str_)


def _sites(table: Mapping[str, pa.ChunkedArray], predictors: Sequence[str], folder: Path) -> Sites:
    columns = {}
    for name in ("x", "y", *predictors):
        if name not in table:
            raise DataError(f"A table in {folder} has no column {name}. Is it a folder of disdat?")
        values = table[name].cast(pa.float64()).to_numpy()
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(f"A table in {folder} has no {name} in row {row + 1}. Fetch it again.")
        columns[name] = values
    return Sites(
        site=_texts(table, "siteid", folder),
        x=columns["x"],
        y=columns["y"],
        variables=np.stack([columns[name] for name in predictors], axis=1),
    )
