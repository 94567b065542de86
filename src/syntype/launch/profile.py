"""What a cluster is to be asked for: a TOML file, shipped or the user's own.

Three kinds of job run: `embed` and `train` on a GPU, `report` on processors. A table of one of
these names overrules what stands above it for that kind.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from importlib.resources import files as packaged
from pathlib import Path
from typing import Any, Literal

from syntype.errors import UsageError

Stage = Literal["embed", "train", "report"]
_STAGES: tuple[Stage, ...] = ("embed", "train", "report")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What one kind of job asks for; what is empty or 0 is left to the cluster.

    Attributes:
        partition: Where to run.
        account: Who pays.
        qos: Quality of service.
        gpus: Per job, on one node.
        gpu_type: As the cluster calls it.
        cpus: Processors per job.
        memory: For example 64GB.
        time: Limit, as D-HH:MM:SS, HH:MM:SS or minutes.
        constraint: Features of the node.
        modules: To be loaded, in this order.
        container: What the command is put behind, for example `apptainer exec image.sif`.
        python: Interpreter that runs the jobs, as the container calls it; else the one that runs
            `syntype launch`.
        setup: Lines of shell before the command.
        environment: Variables.
        array_parallelism: Jobs of the array that run at a time.
        signal_minutes: How long before the limit a training saves and is queued again.
        requeues: How often a job may run into its limit.
        extra: Further options of sbatch.
    """

    partition: str = ""
    account: str = ""
    qos: str = ""
    gpus: int = 0
    gpu_type: str = ""
    cpus: int = 4
    memory: str = ""
    time: str = "24:00:00"
    constraint: str = ""
    modules: tuple[str, ...] = ()
    container: str = ""
    python: str = ""
    setup: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    array_parallelism: int = 8
    signal_minutes: float = 5.0
    requeues: int = 20
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def minutes(self) -> int:
        """The limit in minutes, rounded up.

        Raises:
            UsageError: It is not a time.
        """
        if self.time.isdecimal():
            return int(self.time)
        match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?", self.time)
        if match is None:
            raise UsageError(f"time = {self.time!r} in the profile: write 24:00:00 or 2-00:00:00.")
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return (days * 24 + hours) * 60 + minutes + (seconds > 0)


@dataclass(frozen=True)
class Profile:
    """What each kind of job asks for."""

    name: str
    embed: Ask
    train: Ask
    report: Ask

    def ask(self, stage: Stage) -> Ask:
        """What a kind of job asks for."""
        asks = {"embed": self.embed, "train": self.train, "report": self.report}
        return asks[stage]

    def with_account(self, account: str, qos: str, partition: str) -> "Profile":
        """The profile with what the user named on the command line; what is empty stays."""

        def named(ask: Ask) -> Ask:
            return replace(
                ask,
                account=account or ask.account,
                qos=qos or ask.qos,
                partition=partition or ask.partition,
            )

        return Profile(self.name, *(named(self.ask(stage)) for stage in _STAGES))


def shipped() -> list[str]:
    """Names of the profiles that come with syntype."""
    folder = packaged("syntype.launch") / "profiles"
    return sorted(path.name.removesuffix(".toml") for path in folder.iterdir())


def read_profile(name: str) -> Profile:
    """A profile by name, or by the path of a TOML file.

    Raises:
        UsageError: There is none, it is no TOML, an option is unknown or of the wrong type, or
            something is left to be filled in.
    """
    path = Path(name)
    if name.endswith(".toml"):
        if not path.is_file():
            raise UsageError(f"There is no profile {path}. Name a TOML file, or one of "
                             f"{', '.join(shipped())}.")  # fmt: skip
        text = path.read_text(encoding="utf-8")
    elif name in shipped():
        text = (packaged("syntype.launch") / "profiles" / f"{name}.toml").read_text("utf-8")
    else:
        raise UsageError(
            f"No profile is called {name}. They are: {', '.join(shipped())}; your own is named by "
            "its path, --profile my-cluster.toml."
        )
    try:
        content = tomllib.loads(text)
    except ValueError as error:
        raise UsageError(f"The profile {name} is not TOML: {error}.") from error
    common = {key: value for key, value in content.items() if key not in _STAGES}
    for stage in _STAGES:
        if not isinstance(content.get(stage, {}), dict):
            raise UsageError(f"{stage} in the profile {name} is a table: write [{stage}].")
    asks = {stage: _ask(name, {**common, **content.get(stage, {})}) for stage in _STAGES}
    return Profile(path.stem, **asks)


def _ask(name: str, content: Mapping[str, Any]) -> Ask:
    known = {part.name: part for part in fields(Ask)}
    values: dict[str, Any] = {}
    defaults = Ask()
    for key, value in content.items():
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" They are: {', '.join(known)}."
            raise UsageError(f"The profile {name} has an unknown option {key}.{hint}")
        kind = type(getattr(defaults, key))
        given = {tuple: list, float: int}.get(kind, kind)
        if type(value) not in (kind, given):  # and True is no number
            raise UsageError(f"{key} = {value!r} in the profile {name}: a {given.__name__} is due.")
        values[key] = kind(value)
    return Ask(**values)


def require_filled(profile: Profile) -> None:
    """Refuse a profile in which a question mark says that the user must say something.

    Raises:
        UsageError: It has one; the message names the options.
    """
    open_ones = [key for key in ("account", "qos", "partition")
                 if "?" in (getattr(profile.train, key), getattr(profile.embed, key),
                            getattr(profile.report, key))]  # fmt: skip
    if open_ones:
        flags = " ".join(f"--{key} NAME" for key in open_ones)
        raise UsageError(
            f"The profile {profile.name} does not know your {', '.join(open_ones)}: add {flags}, "
            "or copy the profile and fill it in (docs/reference/launch.md)."
        )
