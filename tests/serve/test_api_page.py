"""The page on the API has every operation, parameter, error and limit, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fakes.served import collection
from syntype.configs import ServeConfig
from syntype.configs.serve import KEY_VARIABLE
from syntype.serve import guards, running, uploads
from syntype.serve.app import create_app
from syntype.serve.desk import _SHORTEST_KEY
from syntype.serve.guards import safety
from syntype.serve.metrics import Metrics
from syntype.serve.parameters import FILTERS, LONGEST, MOST_VALUES
from syntype.serve.problems import TITLES
from syntype.serve.routes import MOST_CELLS

PAGE = (Path(__file__).parents[2] / "docs/reference/api.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """What the application says of itself: method and path to the operation."""
    folder = tmp_path_factory.mktemp("described")
    config = ServeConfig(media_folder=folder / "media", cache_folder=folder / "cache")
    index, asker = collection(None, 20)
    app = create_app(index, asker, config)
    yield {
        f"{method.upper()} {path}": operation
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    }
    app.state.desk.close()


def between(name: str) -> list[list[str]]:
    """The rows of a table between two comments, without its header."""
    mark = f"<!-- {name} -->"
    lines = PAGE.split(mark)[1].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_lists_every_operation_and_no_other(operations: dict[str, Any]) -> None:
    listed = [f"{method} {path.strip('`')}" for method, path, _ in between("operations")]
    assert sorted(listed) == sorted(operations)
    headings = re.findall(r"^### ((?:GET|POST|PUT|DELETE) \S+)$", PAGE, re.M)
    assert sorted(headings) == sorted(operations)


def test_each_operation_has_its_parameters(operations: dict[str, Any]) -> None:
    for name, operation in operations.items():
        text = PAGE.split(f"### {name}\n")[1].split("\n## ")[0].split("\n### ")[0]
        table = text.split("| field |")[0]
        told = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
        if re.search(r"^\| filters \|", table, re.M):
            told |= {parameter.name for parameter in FILTERS}
        assert told == {one["name"] for one in operation.get("parameters", [])}, name


def test_bounds_and_defaults_are_those_of_the_code(operations: dict[str, Any]) -> None:
    n_told = 0
    for name, operation in operations.items():
        text = PAGE.split(f"### {name}\n")[1].split("\n### ")[0]
        for one in operation.get("parameters", []):
            schema = one["schema"]
            if "minimum" not in schema:
                continue
            told = re.search(rf"^\| `{one['name']}` \| (\S+) to (\S+), (\S+) \|", text, re.M)
            assert told, (name, one["name"])
            assert tuple(map(float, told.groups())) == (
                schema["minimum"], schema["maximum"], schema["default"],
            )  # fmt: skip
            n_told += 1
    assert n_told == 7


def test_files_and_fields_of_bodies_are_named(operations: dict[str, Any]) -> None:
    for name in ("POST /api/v1/search", "POST /api/v1/records", "POST /api/search"):
        content = operations[name]["requestBody"]["content"]["multipart/form-data"]
        text = PAGE.split(f"### {name}\n")[1].split("\n### ")[0]
        plain = {one["name"] for one in operations["GET /api/v1/search"]["parameters"]}
        for field in content["schema"]["properties"].keys() - plain:
            assert f"`{field}`" in text, (name, field)


def test_the_page_lists_every_error_and_no_other() -> None:
    told = {int(status): code.strip("`") for status, code, _ in between("errors")}
    assert told == {status: code for status, (code, _) in TITLES.items()}


def test_limits_are_those_of_the_options() -> None:
    config = ServeConfig()
    for option, value, _ in between("limits"):
        name = option.strip("`").removeprefix("--").replace("-", "_")
        assert getattr(config, name) == float(value.replace(",", "")), option


@pytest.mark.parametrize(
    "said",
    [
        f"{uploads.MOST_FIELDS} fields at most, a field {uploads.FIELD_BYTES:,} bytes",
        f"a body without files {uploads.TEXT_BYTES / 1e6:g} MB",
        f"a parameter {MOST_VALUES} values of {LONGEST:,} characters",
        f"within {running.HEADER_SECONDS:g} seconds",
        f"{guards.LEFT} is a visitor who left",
        f"more than {MOST_CELLS:,} cells",
        f"has {_SHORTEST_KEY} characters or more",
        f"in `{KEY_VARIABLE}`",
    ],
)
def test_numbers_in_the_text_are_those_of_the_code(said: str) -> None:
    assert said in PAGE


def test_headers_and_metrics_are_named() -> None:
    for header in safety(ServeConfig()):
        assert f"`{header}" in PAGE, header
    text = Metrics().text().decode()
    for name in re.findall(r"^# HELP (\S+)", text, re.M):
        if not name.endswith("_created"):
            assert f"`{name}`" in PAGE, name
