"""The reference page says of every benchmark what the registry says."""

from collections.abc import Iterator
from pathlib import Path

from syntype.data.benchmarks.benchmark import Benchmark, Size
from syntype.data.benchmarks.registry import BENCHMARKS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "benchmarks.md"


def count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def sizes(benchmark: Benchmark) -> str:
    def one(part: str, size: Size) -> str:
        return f"`#{part}` " * bool(part) + f"{count(size.images)} / {count(size.classes)}"

    return "<br>".join(one(part, size) for part, size in benchmark.parts.items())


def row(benchmark: Benchmark) -> str:
    usage = benchmark.usage.replace("|", "\\|")
    layout = "<br>".join(f"`{line}`" for line in benchmark.layout)
    cells = (
        f"`{usage}`",
        benchmark.title,
        sizes(benchmark),
        benchmark.unit or "picture",
        benchmark.license,
        layout,
        f"<{benchmark.source}>: {benchmark.get}",
    )
    return f"| {' | '.join(cells)} |"


def test_the_table_has_a_row_of_each_benchmark() -> None:
    lines = PAGE.read_text().splitlines()
    rows = [line for line in lines if line.startswith("| `") and ":FOLDER" in line]
    assert rows == [row(benchmark) for benchmark in BENCHMARKS.values()]


def checksums() -> Iterator[str]:
    for benchmark in BENCHMARKS.values():
        for archive, md5 in benchmark.checksums.items():
            yield f"| `{archive}` | `{md5}` |"


def test_the_checksums_are_those_of_the_registry() -> None:
    lines = PAGE.read_text().splitlines()
    assert [line for line in lines if ".gz` | `" in line or ".tgz` | `" in line] == [*checksums()]


def test_what_is_not_confirmed_is_said() -> None:
    page = PAGE.read_text()
    for benchmark in BENCHMARKS.values():
        line = f"- `{benchmark.name}`: {benchmark.unconfirmed}."
        assert (line in page) == bool(benchmark.unconfirmed)


def test_citations_are_on_the_page() -> None:
    page = PAGE.read_text()
    for benchmark in BENCHMARKS.values():
        assert f"- `{benchmark.name}`: {benchmark.citation}" in page
