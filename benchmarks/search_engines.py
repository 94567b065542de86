"""Engines for the search index, ours beside the others: speed, recall, filters, memory, crashes.

    python benchmarks/search_engines.py                                the full setting, see below
    python benchmarks/search_engines.py --n 20000 --engines cells faiss-ivf-sq8     a quick look
    pip install "syntype[bench]"                                       the peers

The records are synthetic (search_candidates/world.py): 200,000 unit vectors of 512 numbers around
species in genera in families, sizes like 1 / rank^0.8. Each engine builds its index in a process of
its own, from the same half-precision file; a second process opens it and asks, one query at a time.

    build, disk     seconds, and MB of the files; ours keep a whole record of 51 columns, the others
                    the three that they filter by
    open, memory    seconds with the imports of the engine, and MB when it is open and after asking
    p50 / p95       ms of a query at the first setting of the engine's knob whose recall@10 is 0.95
                    or more (recall; setting); in parentheses the best recall where none is
    random 10 %     under a filter that has nothing to do with the vectors; and so on: one family
                    unlike the queries, one species; "-": it cannot filter inside the search
    writes          what can be seen to work: a new record is found, a deleted one is not
    SIGKILL         a process that writes 200 records at a time is killed in the middle, --kills
                    times, servers with it: records lost that were acknowledged, batches of which
                    a part is there, whether it opens and answers afterwards

An engine that is not installed is skipped; one that takes more than --cap seconds for all this is
stopped, and what it has shown until then is told. Engines that compare every vector stop earlier:
a setting is asked with for --seconds at most. faiss gets OPENBLAS_CORETYPE, as in kmeans.py.
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from search_candidates.measuring import disk, kill
from search_candidates.phases import CANDIDATES, ENOUGH, run
from search_candidates.world import World, truths, write_vectors


def main() -> None:
    """Make the vectors, run each engine, print the table."""
    options = arguments()
    world = World(options.n, options.dim)
    if options.phase:
        run(options.phase[0], options.phase[1], options.folder, world, options.numbers)
        return
    place = options.folder or Path(tempfile.mkdtemp(prefix="syntype-engines-"))
    try:
        make(place, world, options.queries)
        rows = [row for name in options.engines if (row := measured(name, place, world, options))]
        print(table(rows, world))
        if options.json:
            options.json.write_text(json.dumps({"n": world.n, "dim": world.dim, "engines": rows}))
    finally:
        if options.folder is None:
            shutil.rmtree(place, ignore_errors=True)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=200_000, help="records")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--engines", nargs="+", choices=[*CANDIDATES], default=[*CANDIDATES])
    parser.add_argument("--cap", type=float, default=600, help="seconds for an engine")
    parser.add_argument("--seconds", type=float, default=20, help="for a setting of the knob")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="keep what is made here")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument("--phase", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--numbers", nargs="*", type=float, default=[], help=argparse.SUPPRESS)
    return parser.parse_args()


def make(place: Path, world: World, n_queries: int) -> None:
    """The vectors, the queries and their true answers, unless they are there."""
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)  # a server of another user must reach its folder
    if (place / "queries.npz").is_file():
        return
    write_vectors(world, place / "vectors.f16")
    queries = world.queries(n_queries)
    found = {f"t{number}": rows for number, rows in enumerate(truths(world, queries))}
    np.savez(place / "queries.npz", queries=queries, **found)


def measured(
    name: str, place: Path, world: World, options: argparse.Namespace
) -> dict[str, Any] | None:
    """All that is measured of an engine."""
    engine = CANDIDATES[name]
    missing = [module for module in engine.needs if importlib.util.find_spec(module) is None]
    if missing:
        print(f"{name}: skipped, {' and '.join(missing)} not installed", flush=True)
        return None
    folder = place / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    until = time.monotonic() + options.cap
    row: dict[str, Any] = {"name": name, "about": engine.about, "note": ""}
    row |= phase("build", name, [], place, options, until)
    if "build" in row:
        row["disk"] = disk(folder)
        row |= phase("ask", name, [options.seconds], place, options, until)
    if "build" in row and not row["note"]:
        row["kill"] = (
            killed(name, place, world, options, until)
            if engine.keeps
            else "has a file that is saved whole: loses what came since"
        )
    print(f"{name}: {json.dumps({k: v for k, v in row.items() if k != 'about'})}", flush=True)
    if options.folder is None:
        shutil.rmtree(folder)
    return row


def command(which: str, name: str, numbers: list[float], place: Path, n: int, dim: int) -> Any:
    """A phase as a process."""
    environment = dict(os.environ, TOKENIZERS_PARALLELISM="false")
    cpuinfo = Path("/proc/cpuinfo")
    if name.startswith("faiss") and cpuinfo.is_file() and "avx512f" in cpuinfo.read_text():
        environment.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
    words = [sys.executable, __file__, "--phase", which, name, "--folder", str(place)]
    words += ["--n", str(n), "--dim", str(dim), "--numbers", *map(str, numbers)]
    log = (place / f"{name}.log").open("a")
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip


def phase(
    which: str,
    name: str,
    numbers: list[float],
    place: Path,
    options: argparse.Namespace,
    until: float,
) -> dict[str, Any]:
    """The last that a phase told; a note where it did not end well."""
    process = command(which, name, numbers, place, options.n, options.dim)
    over = threading.Event()

    def stop() -> None:
        over.set()
        kill(process.pid, place / name)

    timer = threading.Timer(max(1.0, until - time.monotonic()), stop)
    timer.start()
    told: dict[str, Any] = {}
    try:
        for line in process.stdout:
            if line.startswith("{"):
                told = json.loads(line)
        process.wait()
    finally:
        timer.cancel()
        kill(process.pid, place / name)  # what a phase that failed has left
    if over.is_set():
        told["note"] = f"{which}: stopped at the cap of {options.cap:.0f} s"
    elif process.returncode:
        lines = (place / f"{name}.log").read_text().strip().splitlines() or [""]
        told["note"] = f"{which} failed: {lines[-1][:120]}"
    return told


def killed(name: str, place: Path, world: World, options: argparse.Namespace, until: float) -> str:
    """What kills in the middle of writes leave, in words."""
    source = random.Random(0)
    lost = n_total = half = 0
    for turn in range(options.kills):
        start = world.n + 1_000_000 * (turn + 1)
        n_acknowledged, n_begun = interrupt(name, start, source, place, options, until)
        if n_begun == 0:
            return f"wrote nothing in time, in kill {turn + 1}"
        seen = phase("look", name, [start, n_acknowledged], place, options, until)
        if seen.get("note"):
            return f"kill {turn + 1}: {seen['note']}"
        lost, half = lost + seen["lost"], half + seen["half"]
        n_total += n_acknowledged * 200
        if not seen["found"]:
            return f"kill {turn + 1}: finds nothing any more"
    return (
        f"{options.kills} kills: {lost:,} of {n_total:,} acknowledged lost, {half} half batches, "
        "opens and answers"
    )


def interrupt(
    name: str,
    start: int,
    source: random.Random,
    place: Path,
    options: argparse.Namespace,
    until: float,
) -> tuple[int, int]:
    """Kill a process that writes, behind a few writes and in the middle of one.

    Returns:
        Batches that were acknowledged, and begun.
    """
    process = command("write", name, [start], place, options.n, options.dim)
    timer = threading.Timer(max(1.0, until - time.monotonic()), kill, (process.pid, place / name))
    timer.start()
    wanted, spans, begun_at = source.randint(2, 6), [], 0.0
    n_acknowledged = n_begun = 0
    for line in process.stdout:
        if line.startswith("begun"):
            n_begun, begun_at = n_begun + 1, time.monotonic()
            if n_acknowledged == wanted:
                # Soon behind the beginning of a write, and before it is likely to end.
                time.sleep(source.random() * 0.9 * float(np.median(spans)))
                kill(process.pid, place / name)
        elif line.startswith("acknowledged"):
            n_acknowledged += 1
            spans.append(time.monotonic() - begun_at)
    process.wait()
    timer.cancel()
    kill(process.pid, place / name)
    return n_acknowledged, n_begun


def table(rows: list[dict[str, Any]], world: World) -> str:
    """Everything as one table in Markdown."""
    names = [condition.name for condition in world.conditions]
    head = ["engine", "build s", "disk MB", "open s", "memory MB"]
    head += [f"{name}: p50 / p95 ms" for name in names]
    head += ["writes", "SIGKILL", "set-up"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        asked = {one["condition"]: one for one in row.get("conditions", ())}
        lines.append(
            [
                row["name"],
                number(row.get("build")),
                number(row.get("disk")),
                number(row.get("open"), 2),
                f"{number(row.get('memory'))} to {number(row.get('after'))}",
                *(cell(asked.get(name)) for name in names),
                row.get("writes", "?"),
                row.get("kill", row["note"] or "?"),
                f"{row['about']}; {CANDIDATES[row['name']].knob or 'no knob'}",
            ]
        )
    title = f"{world.n:,} x {world.dim}, {os.cpu_count()} processors, recall@10 >= {ENOUGH}\n\n"
    return title + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int = 0) -> str:
    """A number, or that there is none."""
    return "?" if value is None else f"{value:,.{digits}f}"


def cell(one: dict[str, Any] | None) -> str:
    """What an engine does under a condition."""
    if one is None:
        return "-"
    effort = one["effort"]
    at = (
        ""
        if effort is None
        else f"; {effort if isinstance(effort, int | float) else tuple(effort)}"
    )
    times = f"{one['p50']:.1f} / {one['p95']:.1f}"
    told = f"{times} ({one['recall']:.3f}{at})"
    return told if one["recall"] >= ENOUGH else f"(none: {told})"


if __name__ == "__main__":
    main()
