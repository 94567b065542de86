import json
import logging

import pytest
from starlette.testclient import TestClient

from syntype.configs import ServeConfig
from syntype.errors import DataError, EncoderError, UsageError, VectorError
from syntype.serve.guards import policy
from syntype.serve.running import JsonLines

PATHS = ["/", "/nothing", "/api/v1/health", "/api/v1/search?n=0", "/api/docs", "/api/openapi.json",
         "/api/v1/media?id=cabinet/plain", "/static/nothing.js"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers_of_safety(client, path) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Cache-Control" in headers
    assert "Access-Control-Allow-Origin" not in headers


def test_the_policy_lets_nothing_in_from_elsewhere_unless_told() -> None:
    assert "http" not in policy(ServeConfig())
    assert "unsafe" not in policy(ServeConfig())
    remote = policy(ServeConfig(remote_media=True))
    assert "img-src 'self' data: blob: https:" in remote
    assert "script-src 'self';" in remote


@pytest.mark.parametrize(("method", "path", "allow"), [
    ("POST", "/api/v1/health", "GET, HEAD"), ("PATCH", "/api/v1/search", "GET, HEAD, POST"),
    ("GET", "/api/search", "POST"), ("DELETE", "/", "GET, HEAD"),
    ("BREW", "/api/v1/records", "DELETE, GET, HEAD, POST, PUT"),
    ("OPTIONS", "/api/v1/about", "GET, HEAD")])  # fmt: skip
def test_405_says_what_is_allowed(client, method, path, allow) -> None:
    reply = client.request(method, path)
    assert (reply.status_code, reply.headers["Allow"]) == (405, allow)
    assert reply.json()["code"] == "not-allowed"


def test_unknown_paths_are_problems(client) -> None:
    for path in ("/nothing", "/api/v2/search", "/api/v1/", "/api/v1/search/", "/static/"):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["code"]) == (404, "not-found")
        assert reply.headers["Content-Type"] == "application/problem+json"


def test_our_own_fault_has_a_number_and_tells_nothing(client, caplog) -> None:
    caplog.set_level(logging.INFO, "syntype.serve")
    reply = client.get("/api/v1/search", params={"text": "crash"})
    assert reply.status_code == 500
    problem = reply.json()
    assert problem["code"] == "our-fault"
    assert "secret" not in reply.text
    assert "Traceback" not in reply.text
    (fault,) = [record for record in caplog.records if hasattr(record, "error")]
    assert fault.error in problem["detail"]
    assert "secret of the inside" in JsonLines().format(fault)


def test_the_log_has_a_line_for_each_request_and_no_question(client, caplog) -> None:
    caplog.set_level(logging.INFO, "syntype.serve")
    path = "/x%0d%0aforged%20line%1b%5b31m%e2%80%a8"
    client.get(f"{path}?text=private%0d%0aforged", headers={"User-Agent": "agent"})
    lines = [JsonLines().format(record) for record in caplog.records]
    (line,) = [line for line in lines if "forged" in line]
    assert line.isascii()
    assert line.isprintable()
    told = json.loads(line)
    assert (told["method"], told["status"], told["client"]) == ("GET", 404, "unknown")
    assert told["path"] == "/x\r\nforged line\x1b[31m\u2028"
    assert told["ms"] >= 0
    assert "private" not in line
    assert "agent" not in line


def test_paths_of_this_machine_are_not_told(make_client, tmp_path) -> None:
    client = make_client()
    client.app.state.desk.index.describe(spec=str(tmp_path / "space"))
    client.portal.call(client.app.state.desk.look)
    assert client.get("/api/v1/about").json()["encoder"]["spec"] == "space"
    assert str(tmp_path) not in client.get("/api/v1/about").text
    told = client.post("/api/search", data={"search_param": ""}).json()
    assert told["records"][0]["model"] == "space"


@pytest.mark.parametrize("error", [EncoderError, VectorError])
def test_an_encoder_that_fails_says_nothing_of_its_files(make_client, monkeypatch, error) -> None:
    client = make_client()

    def fail(*rest):
        raise error("/secret/weights are broken")

    monkeypatch.setattr(client.app.state.desk.asker, "vector", fail)
    reply = client.get("/api/v1/search?text=owl")
    assert reply.status_code == {EncoderError: 503, VectorError: 400}[error]
    assert "secret" not in reply.text


def test_an_index_that_cannot_be_read_is_503_and_health_answers(make_client, monkeypatch) -> None:
    client = make_client()
    desk = client.app.state.desk

    def fail():
        raise DataError("/secret/index is damaged")

    monkeypatch.setattr(desk.index, "refresh", fail)
    desk._looked = 0.0
    reply = client.get("/api/v1/timeline")
    assert (reply.status_code, "secret" in reply.text) == (503, False)
    desk._looked = 0.0
    assert client.get("/api/v1/health").json()["records"] == 60


def test_only_named_hosts_are_answered(make_client) -> None:
    client = make_client(hosts=("museum.example",))
    names = {"museum.example": 200, "MUSEUM.example:8080": 200, "evil.example": 421,
             "museum.example.evil.example": 421, "": 421, "museum.example:x": 421}  # fmt: skip
    for name, status in names.items():
        assert client.get("/api/v1/health", headers={"Host": name}).status_code == status


def test_other_origins_read_nothing_unless_they_are_named(make_client) -> None:
    client = make_client(origins=("https://museum.example",))
    for origin, told in [("https://museum.example", "https://museum.example"),
                         ("https://evil.example", None), ("null", None)]:  # fmt: skip
        reply = client.get("/api/v1/health", headers={"Origin": origin})
        assert reply.headers.get("Access-Control-Allow-Origin") == told
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = client.options("/api/v1/search", headers=asked)
        assert preflight.headers.get("Access-Control-Allow-Origin") == told
    assert "Access-Control-Allow-Credentials" not in reply.headers


def test_metrics_count_by_route_and_never_by_what_a_client_wrote(make_client) -> None:
    client = make_client()
    client.get("/api/v1/records?id=cabinet/plain")
    client.request("BREW" + "X" * 50, "/tea/for/two")
    text = client.get("/metrics").text
    assert 'syntype_requests_total{method="GET",route="/api/v1/records",status="200"} 1.0' in text
    assert 'syntype_requests_total{method="other",route="none",status="404"} 1.0' in text
    assert "syntype_records 60.0" in text
    assert 'syntype_queued{pool="decode"} 0.0' in text
    assert 'syntype_request_seconds_count{route="/api/v1/records"} 1.0' in text
    assert "tea" not in text
    assert make_client(no_metrics=True).get("/metrics").status_code == 404


def test_health_says_when_it_stops(make_client) -> None:
    client = make_client()
    assert client.get("/api/v1/health").json() == {
        "status": "ok", "records": 60, "engine": "memory"
    }  # fmt: skip
    client.app.state.desk.stopping = True
    reply = client.get("/api/v1/health")
    assert (reply.status_code, reply.json()["status"]) == (503, "stopping")


def test_a_search_whose_machine_refuses_is_503_without_its_words(client, monkeypatch) -> None:
    from syntype.errors import ResourceError

    def refuse(where):
        raise ResourceError("/secret/path: the disk is full")

    monkeypatch.setattr(client.app.state.desk.index, "years", refuse)
    reply = client.get("/api/v1/timeline?sex=male")
    assert reply.status_code == 503
    assert "secret" not in reply.text
    assert "Retry-After" in reply.headers


@pytest.mark.parametrize("options", [
    {"port": 70000}, {"proxies": -1}, {"origins": ("*",)}, {"upload_megabytes": 0.0},
    {"upload_seconds": 0.0}, {"upload_files": 0}, {"megapixels": 0.0}, {"threads": 0},
    {"requests_per_minute": -1.0}, {"waiting": 0}, {"connections": 0}, {"shutdown_seconds": 0.0},
    {"cache_megabytes": -1.0}, {"uploads_at_once": 0}, {"drain_seconds": -1.0}])  # fmt: skip
def test_what_cannot_be_configured_is_refused_by_its_flag(options) -> None:
    flag = "--" + next(iter(options)).replace("_", "-")
    with pytest.raises(UsageError, match=flag):
        ServeConfig(**options)


def test_parts_of_the_page_are_found_by_name_alone(client: TestClient) -> None:
    for name in ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "....//app.py",
                 "..\\app.py", "index.html%00.js", "%c0%ae%c0%ae/app.py"):  # fmt: skip
        reply = client.get(f"/static/{name}")
        assert reply.status_code == 404
        assert "create_app" not in reply.text


def test_the_page_is_served_and_cached(client: TestClient) -> None:
    reply = client.get("/")
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert reply.headers["Content-Encoding"] == "gzip"
    again = client.get("/", headers={"If-None-Match": reply.headers["ETag"]})
    assert again.status_code == 304
    assert client.get("/", headers={"Accept-Encoding": "identity"}).text == reply.text


def test_the_docs_ask_for_nothing_elsewhere(client: TestClient) -> None:
    text = client.get("/api/docs").text
    assert "http" not in text.replace("http-equiv", "")
    assert text.count("<script") == 1
    assert '<script type="module" src="/api/docs.js">' in text
    assert client.get("/api/docs.js").headers["Content-Type"].startswith("text/javascript")
    assert "/api/v1/suggest" in text
    assert client.get("/api/docs.css").headers["Content-Type"].startswith("text/css")
