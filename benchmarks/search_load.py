"""The search server under load, beside its engine alone, plain faiss, pgvector without an index.

    python benchmarks/search_load.py                               the full setting, see below
    python benchmarks/search_load.py --n 20000 --seconds 2 --concurrency 1 4 --index /tmp/index
    python benchmarks/search_load.py --engine postgres --peers engine --index /tmp/server
    pip install "syntype[bench,postgres]"                          the peers

The collection is synthetic (search_candidates/world.py): a million records with the columns of
Darwin Core and vectors of 512 numbers. It is indexed as `syntype index` does, into --index, where
it is taken from the next time. Then the server is started as a user does, `python -m syntype
serve`, and a process of its own asks it over 127.0.0.1, at each --concurrency for --seconds. Of 11
requests 4 search by an example, 2 and an institution, 2 and a family that is unlike the example,
1 and a box, 1 and a date that nobody asked for before, and 1 counts a facet (load_mix.py).

The peers are asked the same in the same run, in turns, by as many threads, without HTTP
(load_peers.py). p50, p95, p99 in ms, requests a second and errors are told of each kind, and the
recall@10 of the answers against exact search; a first run of all warms their caches and does not
count. PostgreSQL is asked --most-slow questions at most and by two threads. At the end stand what
was demanded of the server and whether it holds.

With --engine postgres the index lies on a PostgreSQL server of its own, set up as
docs/how-to/search-on-a-server.md says, with its data in --index; what its tables, cells and B-trees
take is told beside the bytes that page computes. Or --index is the URL of an index on a server that
runs elsewhere.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from search_candidates.load_client import ask
from search_candidates.load_mix import Mix, make_mix, path_of
from search_candidates.load_peers import PEERS, serve_peer
from search_candidates.measuring import kill, memory
from search_candidates.servers import museum_server
from search_candidates.world import World, records

START, MEMORY, MEDIAN, ENOUGH = 3.0, 3000.0, 10.0, 0.95
"""Demanded: seconds, MB, ms of the embedded engine at one request at a time, and recall@10."""


def main() -> None:
    """Make the index, start all, ask in turns, print what came of it."""
    options = arguments()
    world = World(options.n, options.dim)
    if options.phase:
        run_phase(world, options)
        return
    place = options.folder or Path(tempfile.mkdtemp(prefix="syntype-load-"))
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o755)  # a server of another user must reach its folder
    options.index = options.index or str(place / "index")
    database = None
    try:
        if options.engine == "postgres" and "://" not in options.index:
            database = museum_server(Path(options.index).resolve() / "data")
            options.index = f"{database.get_uri()}&index=museum"
        report(place, world, options, database)
    finally:
        if database is not None:
            database.cleanup()
        if options.folder is None:
            shutil.rmtree(place, ignore_errors=True)


def arguments() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=1_000_000, help="records")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=200, help="different questions")
    parser.add_argument("--seconds", type=float, default=10, help="of each run")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--engine", choices=["cells", "postgres"], default="cells")
    parser.add_argument("--index", help="keep the index here, or take it from here; or a URL")
    parser.add_argument("--folder", type=Path, help="keep the rest here: questions, peers")
    parser.add_argument("--peers", nargs="*", choices=[*PEERS], default=[*PEERS][:-1])
    parser.add_argument("--no-facets", action="store_true", help="ask searches only")
    parser.add_argument("--hnsw", action="store_true", help="pgvector with a graph too")
    parser.add_argument("--most-slow", type=int, default=60, help="questions to PostgreSQL a run")
    parser.add_argument("--served", nargs="*", default=[], help="options of serve: threads=8 ...")
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument("--phase", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


# What other processes do.


def run_phase(world: World, options: argparse.Namespace) -> None:
    """A phase in this process; its answer is one line of JSON."""
    which, *rest = options.phase
    if which == "build":
        found: Any = build(world, options.engine, options.index)
    elif which == "mix":
        begin = time.perf_counter()
        mix = make_mix(world, options.queries)
        replace(mix, facets=not options.no_facets).save(options.folder)
        found = {"seconds": time.perf_counter() - begin}
    elif which == "ask":
        found = ask(options.folder, int(rest[0]), int(rest[1]), options.seconds)
    else:
        serve_peer(rest[0], options.folder, world, options.index, int(rest[1]))
        return
    print(json.dumps(found), flush=True)


def build(world: World, engine: str, location: str) -> dict[str, float]:
    """Index the collection, or go on where that was cut.

    Returns:
        Seconds for the records and for what comes after them: cells, calibration.
    """
    from syntype.search.index import Card
    from syntype.search.indexing import finish
    from syntype.search.opening import create_index, exists, open_index

    if exists(location):
        opened = open_index(location)
    else:
        encoder = {"name": "benchmarks/search_load.py"}
        opened = create_index(location, Card(engine=engine, dim=world.dim, encoder=encoder))
    begin, there = time.perf_counter(), len(opened)
    for start, vectors in world.blocks():
        if start + len(vectors) <= there:
            continue
        columns = {
            name: values[start : start + len(vectors)] for name, values in world.columns.items()
        }
        opened.upsert(records(columns, start), vectors)
    filled = time.perf_counter()
    finish(opened)
    opened.close()
    return {"records": filled - begin, "finished": time.perf_counter() - filled}


def is_whole(n: int, location: str) -> bool:
    """Whether an index has so many records and was finished."""
    from syntype.search.calibration import Calibration
    from syntype.search.opening import exists, open_index

    if not exists(location):
        return False
    opened = open_index(location)
    known = Calibration.from_notes(opened.card.notes)
    whole = len(opened) == n and known is not None and known.n_records == n
    opened.close()
    return whole


def sizes(location: str, n: int, dim: int) -> str:
    """Bytes a record on the server, beside those that the sizing table is computed with."""
    import psycopg

    from syntype.search.postgres_cells import ready, select_cells
    from syntype.search.postgres_link import address_of

    address = address_of(location)
    name = address.name
    with psycopg.connect(address.conninfo) as connection:
        cells = ready(select_cells(connection, name))
        assert cells is not None, "they were made"
        ((table, everything, served),) = connection.execute(
            "SELECT pg_table_size(t), pg_total_relation_size(t), pg_relation_size(c) "
            "FROM (SELECT %s::regclass AS t, %s::regclass AS c) AS one",
            [f"{name}.records", f"{name}.{cells.name}"],
        ).fetchall()
    computed = 8192 / (8160 // (2 * dim + 20))
    return (
        f"bytes a record: table {table / n:,.0f}, "
        f"{cells.n:,} cells {served / n:,.0f} (computed {computed:,.0f}), "
        f"B-trees {(everything - table - served) / n:,.0f}, together {everything / n:,.0f}"
    )


# The run.


def child(options: argparse.Namespace, place: Path, *phase: Any, **given: Any) -> Any:
    """A phase as a process."""
    environment = dict(os.environ)
    cpuinfo = Path("/proc/cpuinfo")
    if "faiss" in str(phase) and cpuinfo.is_file() and "avx512f" in cpuinfo.read_text():
        environment.setdefault("OPENBLAS_CORETYPE", "SkylakeX")  # see kmeans.py
    words = [sys.executable, __file__, "--n", options.n, "--dim", options.dim]
    words += ["--queries", options.queries, "--seconds", options.seconds]
    words += ["--engine", options.engine, *["--no-facets"] * options.no_facets]
    words += ["--index", options.index, "--folder", place, "--phase", *phase]
    return subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, text=True, env=environment,
        start_new_session=True, **given,
    )  # fmt: skip


def phase(options: argparse.Namespace, place: Path, *words: Any) -> dict[str, Any]:
    """What a phase told when it ended."""
    process = child(options, place, *words)
    try:
        output, _ = process.communicate()
    finally:
        kill(process.pid, place)
    if process.returncode:
        raise SystemExit(f"{words[0]} failed; its error stands above.")
    found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return found


def report(place: Path, world: World, options: argparse.Namespace, database: Any) -> None:
    """Everything, in order."""
    if not is_whole(world.n, options.index):
        told = phase(options, place, "build")
        print(f"indexed in {told['records']:.0f} s; cells, calibration: {told['finished']:.0f} s")
    if options.engine == "postgres":
        print(sizes(options.index, world.n, world.dim), flush=True)
    print(f"true answers in {phase(options, place, 'mix')['seconds']:.0f} s", flush=True)
    names = [*options.peers, *["pgvector-hnsw"] * options.hnsw]
    peers: dict[str, Any] = {}
    server, started = start(place, options)
    print(told_start(started), flush=True)
    rows: list[dict[str, Any]] = []
    try:
        for name in names:
            peers[name] = begin_peer(name, place, options)
        for cold, concurrency in [(True, 3), *((False, one) for one in options.concurrency)]:
            of_all: dict[str, Any] = {
                "server": phase(options, place, "ask", started["port"], concurrency)
            }
            started |= {"used": resident(server.pid)}
            for name, peer in peers.items():
                wanted = {"concurrency": concurrency, "seconds": options.seconds}
                peer.stdin.write(json.dumps(wanted) + "\n")
                peer.stdin.flush()
                of_all[name] = json.loads(peer.stdout.readline())
            new = [
                {"who": who, "concurrency": at_once(who, concurrency), "kind": kind, **one}
                for who, of in of_all.items()
                for kind, one in of.items()
                if one["n"] or one["errors"]
            ]
            if not cold:
                print(table(new), flush=True)
                rows += new
        started["ended"] = end_server(server)
        if database is not None:
            used = memory([int(database.get_postmaster_info().pid)])
            print(f"PostgreSQL: {used:,.0f} MB, buffers and all")
    finally:
        for name, peer in peers.items():
            end_peer(name, peer, place)
        kill(server.pid, place)
    print(verdicts(started, rows, np.inf if options.engine == "postgres" else MEDIAN))
    if options.json:
        content = {"n": world.n, "dim": world.dim, "start": started, "rows": rows}
        options.json.write_text(json.dumps(content))


def at_once(who: str, concurrency: int) -> int:
    """Requests that somebody is really asked at once."""
    threads = PEERS[who].threads if who in PEERS else None
    return min(concurrency, threads or concurrency)


def begin_peer(name: str, place: Path, options: argparse.Namespace) -> Any:
    """A peer, prepared and waiting."""
    most = options.most_slow if name == "pgvector" else 100_000
    peer = child(options, place, "peer", name, most, stdin=subprocess.PIPE)
    line = peer.stdout.readline()
    if not line:
        raise SystemExit(f"{name} failed; its error stands above. Leave it out with --peers.")
    told = json.loads(line)
    print(f"{name}: ready in {told['prepared']:.1f} s, {told['memory']:,.0f} MB", flush=True)
    return peer


def end_peer(name: str, peer: Any, place: Path) -> None:
    """Let a peer end by itself, and else make it."""
    peer.stdin.close()
    try:
        peer.wait(30)
    except subprocess.TimeoutExpired:
        kill(peer.pid, place / name)


# The server.


def start(place: Path, options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """The server, and seconds from its start to the first answers, and its memory then."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "syntype", "serve", options.index, "--port", str(port)]
    words += ["--requests-per-minute", "0", "--cache-folder", str(place / "thumbnails")]
    words += ["--media-folder", str(place / "uploads")]
    for option in options.served:
        name, _, value = option.partition("=")
        words += [f"--{name}", value]
    log = (place / "server.log").open("w")
    begin = time.perf_counter()
    server = subprocess.Popen(words, stderr=log, stdout=log, start_new_session=True)
    found: dict[str, Any] = {"port": port}
    while not answers(port, "/api/v1/health"):
        if server.poll() is not None:
            raise SystemExit(f"The server ended:\n{(place / 'server.log').read_text()[-2000:]}")
        time.sleep(0.01)
    found["health"], found["opened"] = time.perf_counter() - begin, resident(server.pid)
    mix = Mix.open(place)
    first = time.perf_counter()
    assert answers(port, path_of(mix, next(iter(mix.filters)), 0)), "the first search failed"
    found["first"] = time.perf_counter() - first
    found["search"], found["used"] = time.perf_counter() - begin, resident(server.pid)
    return server, found


def answers(port: int, path: str) -> bool:
    """Whether a request is answered with 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), 30) as connection:
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            connection.sendall(request.encode())
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def resident(pid: int) -> dict[str, float]:
    """MB that are resident, at most until now, and of these now of files that are mapped."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    now, most, mapped = (int(found[name].split()[0]) / 1000 for name in _KINDS)
    return {"now": now, "most": most, "mapped": mapped}


_KINDS = ("VmRSS", "VmHWM", "RssFile")


def end_server(server: Any) -> float:
    """Seconds that it takes to end on a signal."""
    begin = time.perf_counter()
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    return time.perf_counter() - begin


# What is told.


def told_start(started: Mapping[str, Any]) -> str:
    """The start in a line."""
    return (
        f"server: health after {started['health']:.2f} s, first search after "
        f"{started['search']:.2f} s (it took {1000 * started['first']:.0f} ms), "
        f"{started['opened']['now']:,.0f} MB then {started['used']['now']:,.0f} MB"
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one concurrency, in Markdown."""
    lines = [
        "",
        "| who | at once | request | p50 ms | p95 ms | p99 ms | /s | errors | recall@10 |",
        "| --- | --: | --- | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        found = f"{row['recall']:.3f}" if "recall" in row else "-"
        lines.append(
            f"| {row['who']} | {row['concurrency']} | {row['kind']} | {row['p50']:.1f} | "
            f"{row['p95']:.1f} | {row['p99']:.1f} | {row['pace']:.1f} | {row['errors']} | {found} |"
        )
    paces: dict[str, float] = {}
    for row in rows:
        paces[row["who"]] = paces.get(row["who"], 0) + row["pace"]
    lines.append("all requests a second: " + ", ".join(f"{k} {v:.0f}" for k, v in paces.items()))
    return "\n".join(lines)


def verdicts(started: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], median: float) -> str:
    """What was demanded of the server, and whether it holds.

    Args:
        started: Its start, memory and end.
        rows: What was measured.
        median: ms that are demanded at one request at a time.
    """
    lines = [""]

    def say(words: str, holds: bool) -> None:
        lines.append(f"{'pass' if holds else 'FAIL'}  {words}")

    health, used = started["health"], started["used"]
    say(f"start: {health:.2f} s to the first answer (< {START:.0f} s)", health < START)
    words = f"memory: {used['most']:,.0f} MB at most, {used['mapped']:,.0f} MB of them mapped files"
    say(f"{words} (< {MEMORY:,.0f} MB)", used["most"] < MEMORY)
    least = min(row["concurrency"] for row in rows)
    for row in rows:
        if row["who"] != "server":
            continue
        if row["concurrency"] == least and "recall" in row:
            holds = row["p50"] < median and row["recall"] >= ENOUGH
            words = f"{row['kind']}, {least} at once: median {row['p50']:.1f} ms (< {median:.0f})"
            say(f"{words} at recall {row['recall']:.3f} (>= {ENOUGH})", holds)
    n_errors = sum(row["errors"] for row in rows if row["who"] == "server")
    say(f"errors of the server: {n_errors}", n_errors == 0)
    lines.append(f"      the server ended {started['ended']:.1f} s after SIGTERM")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
