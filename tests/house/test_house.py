"""The house rules of the design, held by reading the source: layers, sizes, docstrings, names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "syntype"

# The layer of each module or package; imports only go down, or stay inside a package.
# The same table stands in docs/design.md, and a test compares the two.
LAYERS = {
    "errors": 0,
    "version": 0,
    "files": 1,
    "provenance": 1,
    "progress": 1,
    "configs": 1,
    "taxonomy": 2,
    "runs": 3,
    "data": 3,
    "encoders": 4,
    "fetching": 4,
    "senses": 5,
    "embeddings": 5,
    "clustering": 6,
    "evaluation": 6,
    "training": 6,
    "binding": 7,
    "report": 7,
    "sweep": 8,
    "search": 8,
    "serve": 9,
    "recipes": 9,
    "doctor": 9,
    "terminal": 9,
    "launch": 10,
    "cli": 11,
    "__main__": 12,
}
# Modules that must start fast: nothing they import may import these.
NO_TORCH = ("embeddings/store.py", "evaluation", "taxonomy", "report", "configs", "cli")
MODULE_LINES, FUNCTION_LINES = 500, 80


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def part_of(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that the module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        yield from imports(node) if isinstance(node, ast.Import | ast.ImportFrom) else ()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_only_go_down(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    for name in imports(tree_of(path)):
        if not name.startswith("syntype."):
            continue
        other = name.split(".")[1]
        if other == part or other not in LAYERS:
            assert other == part or name == "syntype.__version__", f"{name} has no layer"
            continue
        assert LAYERS[other] < LAYERS[part], f"{part} (layer {LAYERS[part]}) imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_sizes_and_docstrings(path: Path) -> None:
    text = path.read_text()
    tree = tree_of(path)
    assert ast.get_docstring(tree), "a module says what it is"
    assert text.count("\n") <= MODULE_LINES
    for function in functions(tree):
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        assert lines <= FUNCTION_LINES, f"{function.name} has {lines} lines"


def named(tree: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Public functions, classes and their methods; what is inside a function is its own affair."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from named(node)


def test_public_names_are_documented() -> None:
    missing, n = [], 0
    for path in modules():
        for node in named(tree_of(path)):
            n += 1
            inherited = any(ast.unparse(how) == "override" for how in node.decorator_list)
            if not inherited and not ast.get_docstring(node):
                missing.append(f"{path.relative_to(SOURCE)}:{node.name}")
    assert len(missing) <= 0.05 * n, missing


@pytest.mark.parametrize("prefix", NO_TORCH)
def test_light_modules_import_nothing_heavy(prefix: str) -> None:
    heavy = {"torch", "torchvision", "timm", "transformers", "open_clip"}
    for path in modules():
        relative = str(path.relative_to(SOURCE))
        if relative == prefix or relative.startswith(prefix + "/"):
            found = {name.split(".")[0] for name in top_level_imports(tree_of(path))} & heavy
            assert not found, f"{relative} imports {found}"


def test_no_drawer_modules() -> None:
    banned = {"utils", "util", "helpers", "common", "misc"}
    assert not [path for path in modules() if path.stem in banned or path.parent.name in banned]


def test_no_network_code_outside_the_hub_libraries() -> None:
    """Only `fetching` opens connections; else the hub's own libraries do, for a hub's name."""
    banned = {"socket", "urllib.request", "requests", "httpx", "httpx2", "http.client"}
    for path in modules():
        if part_of(path) != "fetching":
            assert not set(imports(tree_of(path))) & banned, path


def test_no_file_names_this_machine_or_a_registry() -> None:
    hosts = "|".join(("python" + "hosted", "py" + r"pi\.org", "registry.npm" + "js"))
    pattern = re.compile(rf"{hosts}|(?<![a-z.])/wor[k]/|/roo[t]/")
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if any(p.startswith(".") and p != ".ci" for p in parts) or "runs" in parts:
            continue
        if path.suffix in {".py", ".md", ".toml", ".cff", ".yml", ".sh", ".j2", ".html"} or (
            path.name in {"Makefile", "run"} and path.is_file()
        ):
            found = pattern.search(path.read_text(errors="ignore"))
            assert not found, f"{path}: {found[0]}"


def test_layers_in_the_design_page_are_these() -> None:
    page = (ROOT / "docs" / "design.md").read_text()
    block = page.split("<!-- layers -->")[1]
    drawn = {}
    for line in block.splitlines():
        if match := re.match(r"^\|\s*(\d+)\s*\|([^|]*)\|", line):
            for name in re.findall(r"`(\w+)`", match[2]):
                drawn[name] = int(match[1])
    assert drawn == LAYERS


def test_every_part_has_a_layer() -> None:
    parts = {part_of(path) for path in modules()} - {"__init__"}
    assert parts == set(LAYERS)


def test_the_readme_tree_names_what_there_is() -> None:
    """Each module or package of the source has a caption in the README's tree, and no other has."""
    block = (ROOT / "README.md").read_text().split("<!-- tree -->")[1].split("```")[1]
    named = set(re.findall(r"^[ │├└─]*([\w./]+) {2,}", block, flags=re.MULTILINE))
    here = {
        p.name + ("/" if p.is_dir() else "")
        for p in SOURCE.iterdir()
        if (p.is_dir() and (p / "__init__.py").exists()) or p.suffix == ".py"
    }
    assert here <= named, f"not in the README's tree: {here - named}"
    for name in named:
        places = [ROOT / name, SOURCE / name, ROOT / "src" / name]
        assert any(place.exists() for place in places), f"the README's tree names {name}"


LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize(
    "page",
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        if re.match(r"^[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name} links to {target}"
        if anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", there.read_text(), flags=re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{page.name} links to {target}"
