"""The hub, as a server on this machine that speaks just enough of its protocol."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import pytest
from huggingface_hub import constants

from fakes import models
from syntype.encoders import describe, hub, load_encoder
from syntype.errors import UnknownEncoderError, WeightsError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Handler(BaseHTTPRequestHandler):
    """Serves /{org}/{name}/resolve/{revision}/{file} below the server's root."""

    def log_message(self, format, *args):
        pass

    def _refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _answer(self, with_body):
        self.server.requests.append((self.command, self.path))
        org, name, verb, revision, file = unquote(self.path).lstrip("/").split("/", 4)
        repo = self.server.root / org / name
        if name == "gated":
            return self._refuse(403, "GatedRepo")
        if verb != "resolve" or not repo.is_dir():
            return self._refuse(404, "RepoNotFound")
        if revision not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        if not (repo / file).is_file():
            return self._refuse(404, "EntryNotFound")
        content = (repo / file).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if with_body:
            self.wfile.write(content)
        return None

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A running hub with an empty cache; `server.root` holds its repositories."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.root, server.requests = tmp_path / "hub", []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    template = f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_model_is_fetched_once_and_then_needs_no_network(server, monkeypatch, zoo):
    models.write_open_clip(server.root / "org" / "tiny")
    spec = "open_clip:hf-hub:org/tiny"
    assert describe(spec).downloads == ("open_clip_config.json", "open_clip_model.safetensors")
    encoder = load_encoder(spec, "cpu")
    assert encoder.key == load_encoder(f"open_clip:{zoo[0]}/open_clip", "cpu").key
    assert any(command == "GET" for command, _ in server.requests)
    server.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_encoder(spec, "cpu").key == encoder.key
    plan = describe(spec)
    assert (plan.weights, plan.downloads, plan.dim) == ("cached", (), 24)
    assert server.requests == []
    assert encoder.encode_texts(["x"]).shape == (1, 24)


@pytest.mark.parametrize(
    ("write", "source"),
    [
        (models.write_timm, "timm:hf-hub:org/net"),
        (models.write_transformers, "transformers:org/net"),
    ],
)
def test_other_formats_are_fetched_too(server, write, source):
    write(server.root / "org" / "net")
    encoder = load_encoder(f"{source}@{COMMIT}", "cpu")
    plan = describe(f"{source}@{COMMIT}")
    assert (plan.weights, plan.size, plan.dim) == ("cached", encoder.preprocess.size, encoder.dim)


def test_weights_in_several_files_are_fetched_whole(server):
    model = models.write_transformers(server.root / "org" / "net")
    (server.root / "org" / "net" / "model.safetensors").unlink()
    model.save_pretrained(server.root / "org" / "net", max_shard_size="40KB")
    shards = list((server.root / "org" / "net").glob("model-*.safetensors"))
    assert len(shards) > 1
    whole = load_encoder("transformers:org/net", "cpu")
    shards[-1].unlink()
    assert load_encoder("transformers:org/net", "cpu").key == whole.key


def test_the_next_format_is_tried(server):
    models.write_open_clip(server.root / "org" / "old", pickled=True)
    assert load_encoder("open_clip:hf-hub:org/old", "cpu").dim == 24


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("org/absent", UnknownEncoderError, "the hub has no model org/absent"),
        ("org/bare@v9", UnknownEncoderError, "the hub has no model org/bare@v9"),
        ("org/bare", WeightsError, r"holds none of open_clip_config\.json"),
        ("org/gated", WeightsError, "is gated. Accept its terms"),
    ],
)
def test_refusals_of_the_hub_are_told_apart(server, name, error, words):
    (server.root / "org" / "bare").mkdir(parents=True)
    with pytest.raises(error, match=words):
        load_encoder(f"open_clip:hf-hub:{name}", "cpu")


def test_a_repository_whose_weights_are_absent_is_never_a_random_model(server):
    """open_clip itself logs a warning and gives a random model."""
    models.write_open_clip(server.root / "org" / "tiny")
    (server.root / "org" / "tiny" / "open_clip_model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"holds none of open_clip_model\.safetensors"):
        load_encoder("open_clip:hf-hub:org/tiny", "cpu")


def test_an_unreachable_hub_is_said_once(server, monkeypatch):
    gone = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", gone)
    with pytest.raises(WeightsError, match=r"cannot be reached: .*hf download org/tiny a b --rev"):
        hub.fetch(hub.HubRepo("org/tiny", "v1"), ["a", "c"], "x", together_with=["b"])


@pytest.mark.parametrize("text", ["", "name", "a/b/c", "/b", "a/"])
def test_other_names_are_no_repositories(text):
    with pytest.raises(UnknownEncoderError, match="organisation/name"):
        hub.HubRepo.parse(text)


def test_repositories_have_revisions():
    assert hub.HubRepo.parse("a/b@v1") == hub.HubRepo("a/b", "v1")
    assert str(hub.HubRepo("a/b", "v1")) == "a/b@v1"
    assert hub.HubRepo.parse("a/b").revision is None
