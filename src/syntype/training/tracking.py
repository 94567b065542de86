"""The metrics of a training, step by step: a file always, other tools if asked.

    <folder>/metrics.jsonl    one JSON object a step

A killed training that goes on drops the lines of the steps that it takes again, so the file ends
like that of an uninterrupted one, but for the times.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from syntype import files
from syntype.configs import Tracker
from syntype.errors import UsageError
from syntype.progress import SILENT, Progress
from syntype.provenance import bytes_hash

FILE = "metrics.jsonl"

Metrics = Mapping[str, int | float | None]


class _Tool(Protocol):
    """A tool that keeps metrics."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Note the metrics of a step."""

    def close(self) -> None:
        """Nothing more comes."""


class Tracking:
    """Where the metrics of one training go.

    Args:
        folder: Holds `metrics.jsonl` and what the tools keep.
        tools: Which tools.
        config: What is trained and how, for the tools that show it.
        progress: Where to say that a tool has failed; the training goes on without it.

    Raises:
        UsageError: A tool is not installed.
    """

    def __init__(
        self,
        folder: Path,
        tools: Sequence[Tracker] = (),
        config: Mapping[str, Any] | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self._folder, self._progress, self._config = folder, progress, dict(config or {})
        self._wanted = tuple(tools)
        for tool in tools:
            _require(tool)
        self._tools: dict[Tracker, _Tool] = {}
        self._begun, self._samples = time.perf_counter(), 0

    def resume(self, step: int) -> None:
        """Drop what was noted of `step` and later ones, and open the tools."""
        path = self._folder / FILE
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = [line for line in _lines(path) if line["step"] < step]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        with files.atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
        self._begun, self._samples = time.perf_counter(), 0
        for tool in self._wanted:
            if tool not in self._tools:
                self._attempt(tool, partial(self._open, tool, step))

    def write(self, line: Metrics) -> None:
        """Note a step.

        Args:
            line: Has `step` and `samples` (of that step) among its numbers; what is not finite is
                kept as null.
        """
        self._samples += int(line["samples"] or 0)
        rate = self._samples / max(time.perf_counter() - self._begun, 1e-9)
        whole = {**line, "samples_per_second": round(rate, 2), "time": round(time.time(), 3)}
        clean = {
            name: value if value is not None and math.isfinite(value) else None
            for name, value in whole.items()
        }
        path = self._folder / FILE
        with files.clear_disk_errors(path), path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(clean) + "\n")
        metrics = {name: float(v) for name, v in clean.items() if v is not None and name != "step"}
        step = int(line["step"] or 0)
        for tool, opened in list(self._tools.items()):
            self._attempt(tool, partial(opened.write, step, metrics))

    def __enter__(self) -> "Tracking":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for tool, opened in list(self._tools.items()):
            self._attempt(tool, opened.close)

    def _attempt(self, tool: Tracker, act: Callable[[], None]) -> None:
        """Do something with a tool; what fails there (a network, a server) stops no training."""
        try:
            act()
        except Exception as error:
            self._tools.pop(tool, None)
            self._progress.say(f"{tool} failed ({error}); going on with {FILE} alone.")

    def _open(self, tool: Tracker, step: int) -> None:
        self._tools[tool] = _TOOLS[tool](self._folder, step, self._config)


def _lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file; a kill may have torn the last one."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def _require(tool: Tracker) -> None:
    try:
        __import__(tool)
    except ImportError as error:
        raise UsageError(
            f"--track {tool} wants the package {tool}, which is not installed: pip install {tool}, "
            "or leave the option out."
        ) from error


class _TensorBoard:
    def __init__(self, folder: Path, step: int, config: Mapping[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
        self._writer.add_text("config", json.dumps(config, indent=1))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    def __init__(self, folder: Path, step: int, config: Mapping[str, Any]) -> None:
        import mlflow

        if not mlflow.is_tracking_uri_set():
            mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').resolve()}")
        path = folder / "mlflow-run"
        known = path.read_text() if path.is_file() else None
        self._run = mlflow.start_run(run_id=known, run_name=folder.name)
        files.write_text(path, self._run.info.run_id)
        if known is None:
            mlflow.log_params(config)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        import mlflow

        mlflow.log_metrics(dict(metrics), step=step)

    def close(self) -> None:
        import mlflow

        mlflow.end_run()


class _WandB:
    def __init__(self, folder: Path, step: int, config: Mapping[str, Any]) -> None:
        import wandb

        name = bytes_hash(str(folder.resolve()).encode())[:16]
        self._run = wandb.init(
            id=name, name=folder.name, dir=str(folder), config=dict(config), resume="allow"
        )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        self._run.finish()


_TOOLS: Mapping[Tracker, Callable[[Path, int, Mapping[str, Any]], _Tool]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MLflow,
    "wandb": _WandB,
}
