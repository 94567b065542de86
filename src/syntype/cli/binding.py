"""The verbs around spaces of several senses: `bind` and `patch`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import EvaluateConfig, EvaluateOptions, Place, Samples, Workplace
from syntype.configs.bind import BindConfig, BindOptions, PatchConfig, PatchOptions
from syntype.errors import UsageError


@app.command
def bind(
    samples: Samples,
    *,
    encoder: str,
    place_by: Annotated[str, Parameter(name="--place")] = "",
    satellite_by: Annotated[str, Parameter(name="--satellite")] = "",
    sound_by: Annotated[str, Parameter(name="--sound")] = "",
    climate_by: Annotated[str, Parameter(name="--climate")] = "",
    compare: tuple[str, ...] = (),
    bind: BindOptions = BindConfig(),  # noqa: B008 - frozen
    patch: PatchOptions = PatchConfig(),  # noqa: B008 - frozen
    evaluate: EvaluateOptions = EvaluateConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Bind places, satellite tiles, sounds and climates to pictures: one space for all of them.

    Each sense is tuned to the binder as it is, then with the binder's image tower, and both are
    patched as far as the selection split says; all spaces are then scored on the report split, and
    shown on one page. Stages that are there already are skipped.

    Args:
        samples: Which observations (--data synthetic-six:SIZE, isatnat:FOLDER, isoundnat:FOLDER,
            taxabench-8k:FOLDER, multinat:FOLDER, or a CSV or Parquet table), and their splits.
        encoder: The binder: an encoder of pictures, best one that reads names too.
        place_by: Encoder of places, for example untrained:place-sphere or geoclip:FILE.
        satellite_by: Encoder of satellite tiles, for example clip-vision:FOLDER.
        sound_by: Encoder of sounds, for example untrained:sound-small or clap:FOLDER.
        climate_by: Encoder of climates, for example untrained:climate-values.
        compare: Further encoders to be bound in the place of one, as SENSE=SPEC.
        bind: How senses are bound.
        patch: How patches are chosen.
        evaluate: How spaces are scored.
        place: Where to work.
    """
    from syntype.sweep.binding import bind_space
    from syntype.terminal import progress_of
    from syntype.training.pausing import pause_on_signal

    named = {
        "place": place_by,
        "satellite": satellite_by,
        "sound": sound_by,
        "climate": climate_by,
    }
    if len(samples.data) > 1:
        raise UsageError("bind takes one set of observations: give one --data.")
    pause_on_signal()
    folder = bind_space(
        samples.data[0],
        encoder,
        {sense: spec for sense, spec in named.items() if spec},
        bind,
        place,
        progress_of(place.quiet),
        patching=patch,
        compare=compare,
        samples=samples,
    )
    _report(folder, evaluate, place)


@app.command
def patch(
    folder: Path,
    *,
    patch: PatchOptions = PatchConfig(),  # noqa: B008 - frozen
    evaluate: EvaluateOptions = EvaluateConfig(),  # noqa: B008 - frozen
    place: Place = DEFAULT_PLACE,
) -> None:
    """Patch a binding anew, under another budget or by another method, without new trainings.

    A method that needs other trainings makes those.

    Args:
        folder: The binding's folder, runs/bind/..., as `syntype bind` printed it.
        patch: How patches are chosen.
        evaluate: How spaces are scored.
        place: Where to work; the workspace is that of the folder.
    """
    from syntype.sweep.binding import repatch
    from syntype.terminal import progress_of
    from syntype.training.pausing import pause_on_signal

    pause_on_signal()
    _report(repatch(folder, patch, place, progress_of(place.quiet)), evaluate, place)


def _report(folder: Path, evaluate: EvaluateConfig, place: Workplace) -> None:
    """Score the spaces of a binding, and say where they and their page are."""
    from syntype.sweep.spaces import report_spaces
    from syntype.terminal import progress_of

    page = report_spaces(folder, place, evaluate, progress_of(place.quiet))
    sys.stdout.write(f"{folder}\n{page}\n")
