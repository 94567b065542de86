"""The description of the API: complete, and true of whatever schemathesis makes of it."""

import json
import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fakes.served import collection
from fakes.ugly_pictures import jpeg
from syntype.configs import ServeConfig
from syntype.search.question import Question
from syntype.search.where import PARAMETERS
from syntype.serve.app import create_app

KEY = "a-key-of-sufficient-length"
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    allow_header_conformance,
)
EXAMPLES = int(os.environ.get("SYNTYPE_FUZZ", "6"))
"""Requests to each operation, of each kind, with the key and without; set it for a long run."""
OPERATIONS = (
    "GET /api/v1/search", "POST /api/v1/search", "GET /api/v1/records", "POST /api/v1/records",
    "PUT /api/v1/records", "DELETE /api/v1/records", "GET /api/v1/facets", "GET /api/v1/taxa",
    "GET /api/v1/map", "GET /api/v1/timeline", "GET /api/v1/suggest", "GET /api/v1/about",
    "GET /api/v1/health", "GET /api/v1/media", "GET /api/v1/media/thumbnail", "POST /api/search",
    "GET /metrics",
)  # fmt: skip


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The description of a server that takes writes, and where its requests go."""
    folder = tmp_path_factory.mktemp("described")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTYPE_API_KEY", KEY)
        index, asker = collection(folder / "root", 30)
        config = ServeConfig(
            media_folder=folder / "media", cache_folder=folder / "cache", requests_per_minute=0.0
        )
        app = create_app(index, asker, config)
    asker.vector(Question(pictures=((jpeg(), 1.0),)), index)  # the first takes seconds
    yield schemathesis.openapi.from_asgi("/api/openapi.json", app)
    app.state.desk.close()


@pytest.mark.parametrize("label", OPERATIONS)
def test_nothing_that_schemathesis_makes_breaks_it(described, label) -> None:
    operation = described.find_operation_by_label(label)

    def ask(case) -> None:
        for headers in ({}, {"Authorization": f"Bearer {KEY}"}):
            case.call_and_validate(headers=headers, checks=CHECKS)

    # Where there is nothing to give, nothing can be given wrong.
    given_any = {"parameters", "requestBody"} & operation.definition.raw.keys()
    for mode in GenerationMode if given_any else (GenerationMode.POSITIVE,):
        run = settings(
            max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        run(given(case=operation.as_strategy(generation_mode=mode))(ask))()


def test_no_operation_was_left_out(described) -> None:
    labels = [operation.ok().label for operation in described.get_all_operations()]
    assert sorted(labels) == sorted(OPERATIONS)


def operations(client):
    for path, ways in client.get("/api/openapi.json").json()["paths"].items():
        for method, operation in ways.items():
            yield f"{method.upper()} {path}", operation


def test_every_operation_is_described_whole(client) -> None:
    names = set()
    for name, operation in operations(client):
        assert operation["summary"]
        assert operation["description"]
        names.add(operation["operationId"])
        for parameter in operation.get("parameters", ()):
            assert parameter["description"], (name, parameter["name"])
            Draft202012Validator(parameter["schema"])
        assert {"400", "429", "500"} <= operation["responses"].keys()
        for status, answer in operation["responses"].items():
            if status not in ("204", "206", "304"):
                assert answer["content"], (name, status)
        if name.startswith(("POST", "PUT")):
            assert {"408", "413", "415", "422"} <= operation["responses"].keys()
            assert operation["requestBody"]["content"]
    assert len(names) == len(list(operations(client)))


def test_every_filter_is_a_parameter_wherever_there_are_filters(client) -> None:
    for path in ("search", "facets", "taxa", "map", "timeline"):
        (operation,) = [o for name, o in operations(client) if name == f"GET /api/v1/{path}"]
        assert set(PARAMETERS) <= {parameter["name"] for parameter in operation["parameters"]}


PATHS = ["search?n=5", "search?text=owl&group=species", "records?id=cabinet/plain", "facets",
         "taxa", "map", "timeline", "suggest?q=p", "about", "health"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_answers_are_as_the_models_say(client, path) -> None:
    """Answers are not sent through the models, so this holds them to each other, closed."""
    described = client.get("/api/openapi.json").json()
    operation = described["paths"]["/api/v1/" + path.partition("?")[0]]["get"]
    reply = operation["responses"]["200"]["content"]["application/json"]["schema"]
    closed = json.loads(json.dumps(described["components"]))
    for model in closed["schemas"].values():
        model["additionalProperties"] = False
    free = closed["schemas"]["FacetsReply"]["properties"]["facets"]
    assert free["additionalProperties"]
    Draft202012Validator({**reply, "components": closed}).validate(
        client.get(f"/api/v1/{path}").json()
    )
