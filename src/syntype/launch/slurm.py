"""The parts of a sweep as SLURM jobs, through submitit, each wave after those it needs.

Jobs are queued again when they run into their limit, and go on from the last checkpoint.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from syntype import files
from syntype.errors import ResourceError, UsageError
from syntype.launch.folder import Launch, Wave
from syntype.launch.jobs import SlurmJob
from syntype.launch.profile import Ask, Profile, require_filled
from syntype.launch.status import queued

# submitit reads it when it is imported, and in the jobs.
_SIGNAL, _SIGNAL_NAME = "SUBMITIT_PREEMPT_SIGNAL", "USR1"


def scripts(launch: Launch, profile: Profile) -> dict[str, str]:
    """The sbatch scripts of the jobs that `submit` would submit, by wave.

    Raises:
        UsageError: The profile does not know the user's account.
    """
    require_filled(profile)
    os.environ[_SIGNAL] = _SIGNAL_NAME
    from submitit.slurm.slurm import _make_sbatch_string

    found: dict[str, str] = {}
    for wave in launch.waves:
        if parts := launch.left(wave):
            ask = profile.ask(wave.stage)
            options = _options(ask, launch, wave, {name: f"{name.upper()}_JOB" for name in found})
            if len(parts) > 1:
                options["map_count"] = len(parts)
            folder = launch.folder / "logs"
            command = f"{_python(ask)} -u -m submitit.core._submit {shlex.quote(str(folder))}"
            found[wave.name] = _make_sbatch_string(command=command, folder=folder, **options)
    return found


def _python(ask: Ask) -> str:
    return f"{ask.container} {ask.python or shlex.quote(sys.executable)}".strip()


def _options(ask: Ask, launch: Launch, wave: Wave, jobs: Mapping[str, str]) -> dict[str, Any]:
    """What a wave asks for, in submitit's words; `jobs` are those of the waves before."""
    setup = [f"export {_SIGNAL}={_SIGNAL_NAME}"]
    setup += [f"module load {module}" for module in ask.modules]
    setup += [f"export {name}={_quoted(value)}" for name, value in ask.environment.items()]
    # Without it a job whose wave cannot start any more would wait for ever.
    extra: dict[str, Any] = {"kill-on-invalid-dep": "yes", **ask.extra}
    if ask.gpus:
        extra["gpus"] = f"{ask.gpu_type}:{ask.gpus}" if ask.gpu_type else ask.gpus
    needed = [f"afterok:{jobs[name]}" for name in wave.after if name in jobs]
    needed += [f"afterany:{jobs[name]}" for name in wave.ended if name in jobs]
    given = {
        "dependency": ",".join(needed),
        "partition": ask.partition,
        "account": ask.account,
        "qos": ask.qos,
        "mem": ask.memory,
        "constraint": ask.constraint,
    }
    return {
        "job_name": f"syntype-{wave.name}-{launch.key[:6]}",
        "time": ask.minutes,
        "cpus_per_task": ask.cpus,
        "nodes": 1,
        "ntasks_per_node": 1,
        "signal_delay_s": round(60 * ask.signal_minutes),
        "array_parallelism": ask.array_parallelism,
        "setup": [*setup, *ask.setup],
        "additional_parameters": extra,
        **{name: value for name, value in given.items() if value},
    }


def _quoted(value: str) -> str:
    """A value as bash takes it: one word, in which variables still stand for what they are."""
    escaped = value.replace('"', '\\"')
    return f'"{escaped}"'


def submit(launch: Launch, profile: Profile) -> dict[str, str]:
    """Submit what is not done.

    Returns:
        The job of each part that was submitted.

    Raises:
        UsageError: The launch is under way, or the profile is not filled in.
        ResourceError: There is no SLURM here, or it refused.
    """
    require_filled(profile)
    if shutil.which("sbatch") is None:
        raise ResourceError(
            "There is no sbatch here. Run this on a login node of the cluster, or take --on here "
            "or --on processes; --dry-run prints the scripts without SLURM."
        )
    queue = queued()
    alive = [part for part, job in launch.jobs().items() if job in queue]
    if alive:
        raise UsageError(
            f"This sweep is under way already ({', '.join(alive)}): see `syntype launch --status`, "
            "or end it with `syntype launch --cancel`."
        )
    launch.write()
    os.environ[_SIGNAL] = _SIGNAL_NAME
    import submitit

    made: dict[str, str] = {}
    jobs: dict[str, str] = {}
    for wave in launch.waves:
        if parts := launch.left(wave):
            ask = profile.ask(wave.stage)
            executor = submitit.SlurmExecutor(
                launch.folder / "logs", max_num_timeout=ask.requeues, python=_python(ask)
            )
            executor.update_parameters(**_options(ask, launch, wave, jobs))
            try:
                names = _submitted(executor, launch, parts)
            except submitit.core.utils.FailedJobError as error:
                raise ResourceError(f"SLURM refused the {wave.name} jobs: {error}") from error
            jobs[wave.name] = names[0].partition("_")[0]
            made |= dict(zip(parts, names, strict=True))
            files.write_json(launch.folder / "jobs.json", {**launch.jobs(), **made})
    return made


def _submitted(executor: Any, launch: Launch, parts: Sequence[str]) -> list[str]:
    """Submit parts as one job, or as an array; their names."""
    with executor.batch():
        made = [executor.submit(SlurmJob(str(launch.folder), part)) for part in parts]
    return [str(job.job_id) for job in made]


def cancel(launch: Launch) -> list[str]:
    """End the jobs that are under way; the parts they had."""
    queue = queued()
    alive = {part: job for part, job in launch.jobs().items() if job in queue}
    if alive:
        subprocess.run(["scancel", *alive.values()], check=True)
    return list(alive)
