"""The verb `launch`: a sweep as jobs, here, as processes, or on SLURM."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from syntype.cli.app import app
from syntype.cli.opening import DEFAULT_PLACE
from syntype.configs import DataConfig, Place, SweepConfig, Workplace
from syntype.errors import UsageError

if TYPE_CHECKING:
    from syntype.launch import Launch

_DRY = """\
# What the command submits without --dry-run. Nothing was submitted, and these scripts do not run by
# themselves: each starts what the command writes beside it. EMBED_JOB and the like stand for the
# numbers that SLURM gives. The parts of an array are named in its order, from 0.
"""
_NO_SWEEP = SweepConfig(samples=DataConfig(data=("-",)), k=(2,))


@app.command
def launch(
    config: Annotated[SweepConfig, Parameter(name="*")] = _NO_SWEEP,
    *,
    recipe: str = "",
    on: Literal["here", "processes", "slurm"] = "here",
    profile: str = "generic-gpu",
    account: str = "",
    qos: str = "",
    partition: str = "",
    parallel: int = 2,
    status: bool = False,
    logs: str = "",
    cancel: bool = False,
    dry_run: bool = False,
    place: Place = DEFAULT_PLACE,
) -> None:
    """Run a sweep as jobs: embed, then every k by itself, then the report.

    The same command again goes on where it stopped, and never submits twice. With --status, --logs
    or --cancel it looks at what was launched in the workspace.

    Args:
        config: What to sweep.
        recipe: A ready sweep by name, instead of the options of a sweep.
        on: Here, as processes of this machine, or on SLURM.
        profile: What the cluster is asked for: generic-gpu, hipergator, cpu-only, or the path of a
            TOML file.
        account: Who pays, if the profile does not say.
        qos: Quality of service, likewise.
        partition: Where to run, likewise.
        parallel: Jobs at a time (on processes).
        status: Show how far each part is.
        logs: Show what a part has printed, for example k-100 or report.
        cancel: End what is under way.
        dry_run: Print the scripts that would be submitted (on slurm), or the parts; run nothing.
        place: Where to work.
    """
    if status or logs or cancel:
        _look(_found(config, recipe, place), status, logs, cancel)
        return
    launch = _launch(config, recipe, place)
    if on == "slurm":
        _slurm(launch, profile, (account, qos, partition), dry_run)
    elif dry_run:
        sys.stdout.write("".join(f"{part}\n" for part in launch.parts))
    elif on == "processes":
        from syntype.launch import run_processes
        from syntype.terminal import progress_of

        page = run_processes(launch, max(1, parallel), progress_of(place.quiet))
        sys.stdout.write(f"{page}\n")
    else:
        from syntype.sweep import run_sweep
        from syntype.terminal import progress_of

        sys.stdout.write(f"{run_sweep(launch.config, place, progress_of(place.quiet))}\n")


@app.command(show=False)
def part(folder: Path, name: str) -> None:
    """One part of a launch; `launch --on processes` starts it.

    Args:
        folder: The launch.
        name: The part.
    """
    from syntype.launch import Launch
    from syntype.launch.jobs import run_job
    from syntype.terminal import progress_of
    from syntype.training.pausing import pause_on_signal

    pause_on_signal()
    run_job(Launch.read(folder), name, progress_of(quiet=False))


def _launch(config: SweepConfig, recipe: str, place: Workplace) -> "Launch":
    from syntype.launch import Launch

    if recipe:
        from syntype.recipes import find_recipe

        return Launch.of(find_recipe(recipe).config, place)
    if config is _NO_SWEEP:
        raise UsageError(
            "Name what to sweep: the options of `syntype sweep` (--data, --k ...), or --recipe "
            "NAME (`syntype recipe` lists them)."
        )
    return Launch.of(config, place)


def _found(config: SweepConfig, recipe: str, place: Workplace) -> "Launch":
    """The launch that was named, or the last one in the workspace."""
    from syntype.launch import Launch

    if recipe or config is not _NO_SWEEP:
        return Launch.read(_launch(config, recipe, place).folder)
    paths = sorted(
        place.workspace.glob("launch/*/launch.json"), key=lambda path: path.stat().st_mtime
    )
    if not paths:
        raise UsageError(f"Nothing was launched in {place.workspace} yet: name its --workspace.")
    return Launch.read(paths[-1].parent)


def _look(launch: "Launch", status: bool, logs: str, cancel: bool) -> None:
    from syntype.launch import cancel as end
    from syntype.launch import logs as read
    from syntype.launch import status as state
    from syntype.launch.status import HEADER
    from syntype.terminal import show_table

    if cancel:
        ended = end(launch)
        sys.stdout.write(f"ended: {', '.join(ended) or 'nothing was under way'}\n")
    if status:
        show_table(f"Launch {launch.key}", HEADER, state(launch))
    if logs:
        for path, text in read(launch, logs):
            sys.stdout.write(f"{path}\n{text}\n")


def _slurm(launch: "Launch", profile: str, named: tuple[str, str, str], dry_run: bool) -> None:
    from syntype.launch import read_profile, scripts, submit
    from syntype.launch.status import HEADER
    from syntype.launch.status import status as state
    from syntype.terminal import show_table

    asked = read_profile(profile).with_account(*named)
    if dry_run:
        waves = {wave.name: launch.left(wave) for wave in launch.waves}
        sys.stdout.write(_DRY)
        for name, script in scripts(launch, asked).items():
            sys.stdout.write(f"# ---- {name}: {', '.join(waves[name])}\n{script}\n")
        return
    submit(launch, asked)
    show_table(f"Launch {launch.key}", HEADER, state(launch))
