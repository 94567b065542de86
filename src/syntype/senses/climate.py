"""Climate as a sense: 20 variables of WorldClim at a place, and SINR's residual network over them.

    climate:hf-hub:MVRL/ecoclim?raster=bioclim_elevation_scaled.npy
    climate:/weights/ecoclim?raster=/data/climate.npy
    untrained:climate?raster=/data/climate.npy&seed=0

Legend: h rows, w columns, c = 20 variables, n places, d dimensions.

The raster is SINR's (Cole et al., "Spatial Implicit Neural Representations", ICML 2023), which
TaxaBind took over: elevation and bio1 to bio19 of WorldClim 2.1 at 5 arc-minutes, each z-scored
over its cells with data, float16, h x w x c = 2160 x 4320 x 20. It is read memory-mapped, and
`assemble_worldclim` makes it. What the released readers do, and what is done here:

- TaxaBind takes the nearest cell; longitude 180 or latitude -90 lies beyond its array. Here 180 is
  the meridian -180, and -90 belongs to the last row ("nearest").
- SINR interpolates, but stretches the grid so that the first column lies at -180 and the last at
  180: half a cell off, and broken at the antimeridian. Weights trained so want "sinr", which is
  exactly that; "bilinear" is between the centres of cells, across the antimeridian, and to one
  value at each pole (the mean of its row), so it is continuous on the sphere.
- Cells without data (the sea) are 0, the mean, before anything is interpolated ("zero"). With
  "skip" they do not count, so a coast has the climate of its land; "nan" leaves NaN where no cell
  has data, for those who want to know.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from syntype import files
from syntype.encoders.spec import Spec, check_options, whole_number
from syntype.encoders.weights import pour, read_state
from syntype.errors import (
    DataError,
    DataNotFoundError,
    UnknownEncoderError,
    UsageError,
    WeightsError,
)
from syntype.provenance import file_hash, named_seed
from syntype.senses.coordinates import Degrees, checked
from syntype.senses.rasters import (
    Grid,
    cell_coordinates,
    corners_of,
    read_raster,
    weighted,
    whole_cells,
)
from syntype.senses.sealing import sealed_sense, weights_path
from syntype.senses.sense import Inputs, Sense

Lookup = Literal["bilinear", "nearest", "sinr"]
Missing = Literal["zero", "skip", "nan"]
VARIABLES = ("elevation", *(f"bio{i}" for i in range(1, 20)))
"""The variables of a raster, in order."""
UNTRAINED = ("climate",)
"""What `load_untrained` builds."""
_NO_DATA_BELOW = -1e6  # SINR's bound
_OPTIONS = ("raster", "lookup", "missing")


@dataclass(frozen=True, kw_only=True)
class ClimateRaster:
    """z-scored variables of the whole Earth.

    Attributes:
        values: (h, w, c), from 90 degrees north and 180 west; NaN where there are no data.
        origin: The file.
        sha256: The hash of the file, "" where it was not computed.
    """

    values: NDArray[np.floating]
    origin: str
    sha256: str = ""

    @property
    def grid(self) -> Grid:
        """Where its cells lie."""
        height, width = self.values.shape[:2]
        return Grid(
            west=-180.0, north=90.0, width=360 / width, height=180 / height, shape=(height, width)
        )


def read_climate(path: Path, *, hashed: bool = True) -> ClimateRaster:
    """Open a raster of z-scored variables (.npy), memory-mapped.

    Args:
        path: The file.
        hashed: Whether to compute its hash, which reads it once.

    Raises:
        DataNotFoundError: There is no such file.
        DataError: It is no .npy of three axes, or not of the whole Earth.
    """
    if not path.is_file():
        raise DataNotFoundError(
            f"There is no climate raster {path}. It is made of WorldClim's GeoTIFFs, or fetched "
            "as bioclim_elevation_scaled.npy."
        )
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is no .npy file, or damaged. Fetch or make it again.") from error
    if values.ndim != 3 or values.dtype.kind != "f" or values.shape[1] != 2 * values.shape[0]:
        raise DataError(
            f"{path} holds {values.dtype} of shape {values.shape}. Expected are floats of rows x "
            "columns x variables with twice as many columns as rows, the whole Earth."
        )
    return ClimateRaster(values=values, origin=str(path), sha256=file_hash(path) if hashed else "")


def climate_lookup(
    raster: ClimateRaster,
    *,
    latitude: Degrees,
    longitude: Degrees,
    method: Lookup = "bilinear",
    missing: Missing = "zero",
) -> NDArray[np.float32]:
    """The variables at n places (n, c), float32.

    Args:
        raster: Where they are looked up.
        latitude: In degrees.
        longitude: In degrees.
        method: How; see the module's page.
        missing: What cells without data are; see there.

    Raises:
        DataError: A place is none.
    """
    north, east = checked(latitude=latitude, longitude=longitude)
    if method == "nearest":
        row, column, _ = cell_coordinates(raster.grid, latitude=north, longitude=east)
        rows, columns = whole_cells(raster.grid, row, column)
        found = np.asarray(raster.values[rows, columns], dtype=np.float64)
        return _filled(found, missing)
    fill = 0.0 if missing == "zero" else math.nan
    values, weights = (_stretched if method == "sinr" else _around)(raster, north, east, fill)
    return _filled(weighted(values, weights[:, :, None]), missing)


def _filled(values: NDArray[np.float64], missing: Missing) -> NDArray[np.float32]:
    found = values.astype(np.float32)
    return found if missing == "nan" else np.nan_to_num(found, nan=0.0)


def _cells(raster: ClimateRaster, rows: Any, columns: Any, fill: float) -> NDArray[np.float64]:
    """Cells as float64, those without data as `fill`."""
    return np.nan_to_num(np.asarray(raster.values[rows, columns], dtype=np.float64), nan=fill)


def _around(
    raster: ClimateRaster, north: NDArray[np.float64], east: NDArray[np.float64], fill: float
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Values (4, n, c) at the centres around places, and weights (4, n); poles have one value."""
    grid = raster.grid
    row, column, _ = cell_coordinates(grid, latitude=north, longitude=east)
    corners, weights = corners_of(grid, row, column)
    values = np.stack([_cells(raster, r, c, fill) for r, c in corners])
    last = grid.shape[0] - 1
    # Nearer to a pole than the centre of its row: the pole takes the place of the row beyond it,
    # half a cell away, so the shares are of half cells.
    for beyond, polar, share in (
        ((0, 1), row < 0.5, 1 - 2 * row),
        ((2, 3), row > last + 0.5, 2 * (row - last) - 1),
    ):
        if not polar.any():
            continue
        edge = _cells(raster, 0 if beyond == (0, 1) else last, slice(None), fill)
        pole = weighted(edge, np.ones((grid.shape[1], 1)))
        for corner, is_right in ((0, 0), (1, 1), (2, 0), (3, 1)):
            right = column - 0.5 - np.floor(column - 0.5)
            side = right if is_right else 1 - right
            part = share if corner in beyond else 1 - share
            weights[corner, polar] = (side * part)[polar]
            if corner in beyond:
                values[corner, polar] = pole
    return values, weights


def _stretched(
    raster: ClimateRaster, north: NDArray[np.float64], east: NDArray[np.float64], fill: float
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """SINR's own interpolation: first and last cells lie on the edges of the map."""
    height, width = raster.values.shape[:2]
    x = (east / 180 + 1) / 2 * (width - 1)
    y = (1 - (north / 90 + 1) / 2) * (height - 1)
    left, up = np.floor(x), np.floor(y)
    right_share, down_share = x - left, y - up
    columns = [np.minimum(left + step, width - 1).astype(np.intp) for step in (0, 1)]
    rows = [np.minimum(up + step, height - 1).astype(np.intp) for step in (0, 1)]
    values = [_cells(raster, r, c, fill) for r in rows for c in columns]
    shares = [(1 - down_share, down_share), (1 - right_share, right_share)]
    return np.stack(values), np.stack([v * h for v in shares[0] for h in shares[1]])


def z_scores(
    values: NDArray[np.float64], *, by_area: bool = False
) -> tuple[NDArray[np.float64], float, float]:
    """A variable of the whole Earth (h, w) with mean 0 and spread 1 over its cells with data.

    Args:
        values: NaN where there are no data.
        by_area: Weigh each cell by the cosine of its latitude; as published, all weigh the same,
            so that the Arctic counts for more than it covers.

    Returns:
        The z-scores, the mean and the standard deviation (of the population).
    """
    height = len(values)
    latitude = np.radians(90 - (np.arange(height) + 0.5) * 180 / height)
    area = np.broadcast_to(
        (np.cos(latitude) if by_area else np.ones(height))[:, None], values.shape
    )
    known = ~np.isnan(values)
    if not known.any():
        raise DataError("A variable has no data anywhere, so it has no mean. Fetch its file again.")
    mean = float(np.average(values[known], weights=area[known]))
    spread = math.sqrt(np.average((values[known] - mean) ** 2, weights=area[known]))
    return (values - mean) / (spread or 1.0), mean, spread


def assemble_worldclim(folder: Path, path: Path, *, by_area: bool = False) -> ClimateRaster:
    """Make the raster of z-scores of WorldClim's 20 GeoTIFFs, and a page of JSON beside it.

    The files are called `*_elev.tif` and `*_bio_1.tif` to `*_bio_19.tif`, at one resolution. No
    data is what a file says is none, and what lies below -1e6, which is all that SINR looks at.

    Args:
        folder: Where the GeoTIFFs lie.
        path: The .npy to write.
        by_area: As in `z_scores`.

    Raises:
        DataError: A file is missing, double, damaged, or of another extent.
        ResourceError: The disk is full or the folder may not be written.
    """
    sources = _worldclim_files(folder)
    shape: tuple[int, int] | None = None
    notes: dict[str, Any] = {"byArea": by_area, "variables": {}}
    with files.atomic_path(path) as temporary:
        for channel, (name, source) in enumerate(sources.items()):
            raster = read_raster(source)
            grid = raster.grid
            if (
                not grid.is_global
                or abs(grid.south + 90) > grid.height
                or abs(grid.west + 180) > 1e-6
            ):
                raise DataError(f"{source} does not cover the Earth from -180 to 180 degrees.")
            shape = shape or grid.shape
            if grid.shape != shape:
                raise DataError(f"{source} has {grid.shape} cells, the others {shape}.")
            values = raster.values.astype(np.float64)
            values[values < _NO_DATA_BELOW] = np.nan
            scores, mean, spread = z_scores(values, by_area=by_area)
            if channel == 0:
                out = np.lib.format.open_memmap(
                    temporary, mode="w+", dtype=np.float16, shape=(*shape, len(sources))
                )
            out[:, :, channel] = scores
            notes["variables"][name] = {
                "file": source.name,
                "sha256": raster.sha256,
                "mean": mean,
                "standardDeviation": spread,
            }
        out.flush()
        del out
    files.write_json(path.with_suffix(".json"), notes)
    return read_climate(path)


def _worldclim_files(folder: Path) -> dict[str, Path]:
    """The file of each variable.

    Raises:
        DataError: One is missing or double; the message names it.
    """
    found: dict[str, list[Path]] = {name: [] for name in VARIABLES}
    for path in sorted(folder.glob("*.tif")):
        if path.stem.endswith("elev"):
            found["elevation"].append(path)
        elif match := re.search(r"_bio_?0?(\d+)$", path.stem):
            found.setdefault(f"bio{match[1]}", []).append(path)
    wrong = [name for name in VARIABLES if len(found[name]) != 1]
    if wrong:
        raise DataError(
            f"{folder} must hold one GeoTIFF each of {', '.join(wrong)} (called ..._elev.tif, "
            "..._bio_1.tif and so on). Unpack WorldClim's bio and elev archives of one resolution."
        )
    return {name: found[name][0] for name in VARIABLES}


class _Residual(nn.Module):
    """x + ReLU(w2 dropout(ReLU(w1 x))): the branch ends in a ReLU, so it only ever adds."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, width)
        self.w2 = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        inner = self.dropout(torch.relu(self.w1(x)))
        return x + torch.relu(self.w2(inner))


class ClimateNet(nn.Module):
    """SINR's residual network without its head; parameters are named as in the released files.

    Args:
        n_inputs: c.
        dim: d, which is the width of all layers.
        depth: Number of residual layers.
        dropout: Share dropped in each, in training: 0.1 in TaxaBind, 0.5 in SINR.
    """

    def __init__(
        self, *, n_inputs: int = 20, dim: int = 512, depth: int = 4, dropout: float = 0.1
    ) -> None:
        super().__init__()
        blocks = [_Residual(dim, dropout) for _ in range(depth)]
        self.feats = nn.Sequential(nn.Linear(n_inputs, dim), nn.ReLU(), *blocks)

    def forward(self, variables: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        """Vectors of z-scored variables, not yet unit."""
        return self.feats(variables)


def empty(architecture: Mapping[str, Any]) -> ClimateNet:
    """The network of an architecture, freshly initialised."""
    return ClimateNet(**{key: value for key, value in architecture.items() if key != "source"})


def infer_architecture(state: Mapping[str, Tensor], origin: str) -> dict[str, Any]:
    """The architecture that a state dict's shapes imply.

    Raises:
        WeightsError: It is no such network, or reads other inputs than the 20 variables.
    """
    try:
        dim, n_inputs = state["feats.0.weight"].shape
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{origin} is no residual network of SINR: {error} is missing. Its keys begin with "
            "feats."
        ) from error
    if n_inputs != len(VARIABLES):
        raise WeightsError(
            f"{origin} reads {n_inputs} inputs, not the {len(VARIABLES)} variables of a climate "
            "raster. SINR's own models read places too; give one trained on env alone."
        )
    depth = len({name.split(".")[1] for name in state if re.match(r"feats\.\d+\.w1\.", name)})
    return {"source": "sinr", "n_inputs": n_inputs, "dim": dim, "depth": depth}


def _prepare(
    raster: ClimateRaster,
    method: Lookup,
    missing: Missing,
    *,
    latitude: Degrees,
    longitude: Degrees,
) -> Inputs:
    found = climate_lookup(
        raster, latitude=latitude, longitude=longitude, method=method, missing=missing
    )
    return (torch.from_numpy(found),)


def _sealed(
    spec: Spec, architecture: Mapping[str, Any], module: ClimateNet, device: torch.device
) -> Sense:
    method, missing = spec.options.get("lookup", "bilinear"), spec.options.get("missing", "zero")
    if method not in ("bilinear", "nearest", "sinr") or missing not in ("zero", "skip"):
        raise UsageError(
            f"In {spec}, lookup is bilinear, nearest or sinr, and missing is zero or skip."
        )
    if "raster" not in spec.options:
        raise UsageError(
            f"{spec} looks climate up in a raster; name it: {spec.source}:{spec.name}?raster=FILE."
        )
    raster = read_climate(Path(spec.options["raster"]).expanduser())
    if raster.values.shape[2] != architecture["n_inputs"]:
        raise DataError(
            f"{raster.origin} has {raster.values.shape[2]} variables, and {spec} reads "
            f"{architecture['n_inputs']}."
        )
    prepare = partial(_prepare, raster, method, missing)  # type: ignore[arg-type]
    return sealed_sense(
        spec,
        "climate",
        architecture,
        module,
        prepare=prepare,
        preparation={"raster": raster.sha256, "lookup": method, "missing": missing},
        example=prepare(latitude=[0.0], longitude=[0.0]),
        device=device,
    )


def load(spec: Spec, device: torch.device) -> Sense:
    """TaxaBind's or SINR's climate network from a released file, over a raster.

    Options: `raster` (needed), `lookup` (bilinear), `missing` (zero). TaxaBind's was trained with
    lookup=nearest, SINR's with lookup=sinr. A head over species (`class_emb`) is left out.

    Raises:
        UnknownEncoderError: The hub has no such repository.
        WeightsError: The file is absent, damaged, or fits only in part.
        UsageError: An option is missing, unknown or wrong.
    """
    check_options(spec, _OPTIONS)
    state = read_state(weights_path(spec))
    state = {name: value for name, value in state.items() if not name.startswith("class_emb.")}
    architecture = infer_architecture(state, str(spec))
    module = empty(architecture)
    pour(module, state, str(spec))
    return _sealed(spec, architecture, module, device)


def load_untrained(spec: Spec, device: torch.device) -> Sense:
    """A random network of the released form over a raster.

    Options: `raster` (needed), `lookup`, `missing`, `seed`, `dim` (512), `depth` (4).

    Raises:
        UnknownEncoderError: The name is another.
        UsageError: An option is missing, unknown or wrong.
    """
    if spec.name not in UNTRAINED:
        raise UnknownEncoderError(f"There is no untrained sense {spec.name!r}. Write climate.")
    check_options(spec, (*_OPTIONS, "seed", "dim", "depth"))
    architecture = {
        "source": "sinr",
        "n_inputs": len(VARIABLES),
        "dim": whole_number(spec, "dim", 512, least=1),
        "depth": whole_number(spec, "depth", 4),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(named_seed(whole_number(spec, "seed", 0), "untrained sense", spec.name))
        module = empty(architecture)
    return _sealed(spec, architecture, module, device)
