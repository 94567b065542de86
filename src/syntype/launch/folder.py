"""What was launched: one folder for each sweep, whatever runs it.

    <workspace>/launch/<hash of the sweep>/
        launch.json     the sweep and the workplace: all that a job needs to know
        jobs.json       which job does which part; written after submission
        events.jsonl    a line each time a job starts a part, ends it, pauses, or fails
        logs/           what jobs print

The hash is of the sweep alone, so the same sweep cannot be under way twice in one workspace.
"""

import json
import math
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from syntype import files
from syntype.configs import SweepConfig, Workplace, rebuild
from syntype.errors import DataNotFoundError
from syntype.launch.profile import Stage
from syntype.provenance import content_hash, plain
from syntype.sweep import parts_of

REPORT = "report"


class Wave(NamedTuple):
    """Parts that can run side by side.

    Attributes:
        name: What they are called together.
        stage: What they ask of a cluster.
        parts: The parts.
        after: Waves that must have succeeded before they start.
        ended: Waves that must have ended, well or not.
    """

    name: str
    stage: Stage
    parts: tuple[str, ...]
    after: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


@dataclass(frozen=True)
class Launch:
    """A sweep to be run as jobs."""

    folder: Path
    config: SweepConfig
    place: Workplace

    @classmethod
    def of(cls, config: SweepConfig, place: Workplace) -> "Launch":
        """The launch of a sweep; nothing is written yet."""
        place = Workplace(**{**vars(place), "workspace": place.workspace.resolve()})
        key = content_hash(plain(config))
        return cls(place.workspace / "launch" / key, config, place)

    @classmethod
    def read(cls, folder: Path) -> "Launch":
        """The launch in a folder.

        Raises:
            DataNotFoundError: There is none.
        """
        path = folder / "launch.json"
        if not path.is_file():
            raise DataNotFoundError(f"{folder} holds no launch. Run `syntype launch` first.")
        content = files.as_mapping(files.read_json(path), path)
        config: SweepConfig = rebuild(SweepConfig, content["sweep"])
        return cls(folder, config, rebuild(Workplace, content["place"]))

    @property
    def key(self) -> str:
        """What names it."""
        return self.folder.name

    @property
    def waves(self) -> tuple[Wave, ...]:
        """All parts in the order that they need.

        Nothing starts without the vectors. What follows the trainings takes those that ended well:
        a report that names what failed is better than none.
        """
        parts = parts_of(self.config)
        trained = tuple(part for part in parts if part not in ("embed", "random"))
        control = ("control",) if "random" in parts else ()
        waves = [Wave("embed", "embed", ("embed",)), Wave("train", "train", trained, ("embed",))]
        if control:
            waves.append(Wave("control", "train", ("random",), ("embed",), ("train",)))
        waves.append(Wave(REPORT, "report", (REPORT,), ("embed",), ("train", *control)))
        return tuple(waves)

    @property
    def parts(self) -> tuple[str, ...]:
        """All parts, the report last."""
        return tuple(part for wave in self.waves for part in wave.parts)

    def left(self, wave: Wave) -> list[str]:
        """The parts of a wave that are not done, or that were before what they follow was."""
        before = {*wave.after, *wave.ended}
        since = max(
            (self._done_at(part) for one in self.waves if one.name in before for part in one.parts),
            default=0.0,
        )
        return [part for part in wave.parts if not since <= self._done_at(part) < math.inf]

    def _done_at(self, part: str) -> float:
        """When a part ended well; never, if it has not."""
        last = self.last(part)
        return float(last["time"]) if last and last["event"] == "done" else math.inf

    def write(self) -> None:
        """Make the folder."""
        content = {"sweep": plain(self.config), "place": plain(self.place), "cwd": os.getcwd()}
        files.write_json(self.folder / "launch.json", content)

    def cwd(self) -> Path:
        """Where it was launched: relative paths of data start there, wherever the jobs run."""
        path = self.folder / "launch.json"
        return Path(files.as_mapping(files.read_json(path), path)["cwd"])

    def note(self, part: str, event: str, **facts: Any) -> None:
        """Write down that something happened to a part."""
        line = {
            "time": round(time.time(), 3),
            "part": part,
            "event": event,
            "job": os.environ.get("SLURM_JOB_ID", str(os.getpid())),
            "restart": int(os.environ.get("SLURM_RESTART_COUNT", "0")),
            "node": platform.node(),
            **facts,
        }
        path = self.folder / "events.jsonl"
        with files.clear_disk_errors(path), path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")

    def events(self) -> list[Mapping[str, Any]]:
        """All that happened, in order."""
        path = self.folder / "events.jsonl"
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def last(self, part: str) -> Mapping[str, Any] | None:
        """The last thing that happened to a part."""
        found = [event for event in self.events() if event["part"] == part]
        return found[-1] if found else None

    def jobs(self) -> dict[str, str]:
        """The job of each part, as SLURM calls it."""
        path = self.folder / "jobs.json"
        return dict(files.as_mapping(files.read_json(path), path)) if path.is_file() else {}
