"""Look at the machine before a long job does: libraries, processors, accelerator, room, decoding.

Each row says what was found and what it means. Speeds are measured here and now, for a second;
nothing is sent anywhere.
"""

import io
import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from syntype.provenance import environment
from syntype.sweep.cost import machine_rate

Row = tuple[str, str, str]
_GIB = 2**30
_FEW_GIB = 10


def _python() -> Row:
    return "Python", platform.python_version(), "good"


def _libraries() -> Row:
    versions = environment()["versions"]
    shown = ("torch", "torchvision", "open-clip-torch", "timm", "transformers")
    found = ", ".join(f"{name} {versions.get(name, 'missing')}" for name in shown)
    return "libraries", found, "missing: install syntype again" if "missing" in found else "good"


def _accelerator() -> Row:
    import torch

    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}
        return "accelerator", f"{torch.cuda.device_count()} x {', '.join(sorted(names))}", "good"
    if torch.backends.mps.is_available():
        return "accelerator", "Apple GPU", "good: --device mps"
    return "accelerator", "none", "adapters train in minutes without one; towers want one"


def _processors() -> Row:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return "processors", f"{usable} usable of {os.cpu_count()}", "good"


def _arithmetic() -> Row:
    rate = machine_rate() / 1e9
    return "matrix product", f"{rate:.0f} GFLOP/s in float32", "good" if rate > 20 else "slow"


def _memory() -> Row:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    return "memory", f"{total:.0f} GiB", "good" if total >= 7 else "small: lower --embed.batch-size"


def _room(workspace: Path) -> Row:
    there = workspace.resolve()
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free / _GIB
    if not os.access(there, os.W_OK):
        return "workspace", f"{there} may not be written", "choose another: --workspace"
    verdict = "good" if free > _FEW_GIB else "little: vectors of 1 million pictures take 4 GB"
    return "workspace", f"{there}: {free:.0f} GiB free", verdict


def _decoding() -> Row:
    from PIL import Image

    from syntype.data.media import prepare
    from syntype.data.preprocess import Preprocess

    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((500, 375)).save(buffer, "JPEG", quality=90)
    content, preprocess = buffer.getvalue(), Preprocess(size=224)
    prepare(content, preprocess)
    start, n = time.perf_counter(), 0
    while time.perf_counter() - start < 0.5:
        prepare(content, preprocess)
        n += 1
    rate = n / (time.perf_counter() - start)
    return "decoding", f"{rate:.0f} pictures/s a thread (500 x 375 to 224)", "good"


def _hub() -> Row:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    found = f"cache {home}" + (", offline" if offline else "")
    return "model hub", found, "cached models only" if offline else "not tried"


def _cluster() -> Row:
    found = shutil.which("sbatch")
    return "SLURM", found or "not here", "good" if found else "only needed on a cluster"


def examine(workspace: Path) -> list[Row]:
    """All rows: what, found, verdict. A check that fails is a row that says so."""
    checks: list[Callable[[], Row]] = [
        _python,
        _libraries,
        _accelerator,
        _processors,
        _arithmetic,
        _memory,
        lambda: _room(workspace),
        _decoding,
        _hub,
        _cluster,
    ]
    rows = []
    for check in checks:
        try:
            rows.append(check())
        except Exception as error:  # a broken library is exactly what a doctor must survive
            rows.append((check.__name__.strip("_"), f"{type(error).__name__}: {error}", "broken"))
    return rows
