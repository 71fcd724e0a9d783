"""What is built and uploaded: all files of the packages, and a description whose links lead somewhere."""

import email.message
import email.parser
import html.parser
import importlib.util
import pathlib
import re
import subprocess
import sys
import tarfile
import tomllib
import types
import urllib.parse
import zipfile

import build
import pytest
from markdown_it import MarkdownIt
from packaging.specifiers import SpecifierSet

from templates.source import pack_source

ROOT = pathlib.Path(__file__).parent.parent
URL = "https://example.org/owner/project"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


class Addresses(html.parser.HTMLParser):
    """Every address in a page, with the element that has it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, value or "") for name, value in attrs if name in ("href", "src", "srcset")]


def addresses_in(markdown: str) -> list[tuple[str, str]]:
    return Addresses(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)).found


def relative_in(markdown: str) -> list[tuple[str, str]]:
    return [(tag, address) for tag, address in addresses_in(markdown) if not urllib.parse.urlsplit(address).scheme]


@pytest.fixture(scope="module")
def setup_py() -> types.ModuleType:
    """The module, imported and not run."""
    spec = importlib.util.spec_from_file_location("setup_py", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def source_in(folder: pathlib.Path, url: str) -> pathlib.Path:
    """Unpack what the template's image is built from; the address of the repository is set there."""
    archive = folder.parent / f"{folder.name}.tar.gz"
    archive.write_bytes(pack_source())
    with tarfile.open(archive) as source:
        source.extractall(folder, filter="data")
    setup_py = folder / "setup.py"
    text, count = re.subn(r'^URL = ".*"$', f'URL = "{url}"', setup_py.read_text("utf-8"), flags=re.MULTILINE)
    assert count == 1
    setup_py.write_text(text, encoding="utf-8")
    return folder


def metadata_with(url: str, folder: pathlib.Path) -> email.message.Message:
    built = build.ProjectBuilder(source_in(folder / "source", url)).metadata_path(folder)
    return parsed((pathlib.Path(built) / "METADATA").read_text("utf-8"))


def parsed(metadata: str) -> email.message.Message:
    return email.parser.Parser().parsestr(metadata)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("built")
    source = source_in(folder / "source", "")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(source)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "dist"


def files_of_packages() -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for package in ("pipelines", "transforms")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(built: pathlib.Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == files_of_packages()
    assert {"transforms/backbones/catalog/catalog.csv", "transforms/py.typed", "pipelines/py.typed"} <= packed
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_sdist_can_be_built_from_and_holds_every_file_of_the_packages(built: pathlib.Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as sdist:
        names = {member.name.partition("/")[2] for member in sdist if member.isfile()}
    assert names >= files_of_packages() | {"pyproject.toml", "setup.py", "README.md", "LICENSE"}


def test_the_metadata_of_the_wheel_has_the_description(built: pathlib.Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = parsed(wheel.read(name).decode("utf-8"))
    assert (metadata["Name"], metadata["Version"]) == (PROJECT["name"], PROJECT["version"])
    assert metadata["Summary"] == PROJECT["description"]
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    body = metadata.get_payload()
    assert isinstance(body, str)
    readme = (ROOT / "README.md").read_text("utf-8")
    assert re.findall("^#.*", body, re.MULTILINE) == re.findall("^#.*", readme, re.MULTILINE)


def test_without_an_address_the_metadata_has_no_links_but_absolute_ones(tmp_path: pathlib.Path) -> None:
    metadata = metadata_with("", tmp_path)
    assert metadata.get_all("Project-URL") is None
    body = metadata.get_payload()
    assert isinstance(body, str)
    assert relative_in(body) == []
    readme = addresses_in((ROOT / "README.md").read_text("utf-8"))
    assert addresses_in(body) == [(tag, address) for tag, address in readme if urllib.parse.urlsplit(address).scheme]


def test_with_an_address_every_link_of_the_metadata_leads_to_the_file_that_it_named(tmp_path: pathlib.Path) -> None:
    metadata = metadata_with(URL, tmp_path)
    pages = dict(line.split(", ") for line in metadata.get_all("Project-URL") or [])
    assert set(pages) == {"Source", "Docs", "Changelog", "Issues"}
    assert pages["Source"] == URL
    assert all(page.startswith(URL) for page in pages.values())
    body = metadata.get_payload()
    assert isinstance(body, str)
    assert relative_in(body) == []
    before = addresses_in((ROOT / "README.md").read_text("utf-8"))
    after = addresses_in(body)
    assert [tag for tag, _ in after] == [tag for tag, _ in before]
    for tag, address in [*after, *(("a", page) for page in pages.values())]:
        if found := re.fullmatch(rf"{URL}/(?:blob|tree|raw)/HEAD/([^#]+)(?:#.*)?", address):
            assert (ROOT / found[1]).exists(), address
            assert ("/raw/" in address) == (tag == "img")


@pytest.mark.parametrize(
    ("markdown", "without", "with_url"),
    [
        ("see [it](docs/x.md).", "see it.", f"see [it]({URL}/blob/HEAD/docs/x.md)."),
        ("see [it](./docs/x.md#part)", "see it", f"see [it]({URL}/blob/HEAD/docs/x.md#part)"),
        ("see [it](#part)", "see it", f"see [it]({URL}/blob/HEAD/README.md#part)"),
        ('[`a[0]`](a.md "why")', "`a[0]`", f'[`a[0]`]({URL}/blob/HEAD/a.md "why")'),
        ("![chart](a/b.png)", "", f"![chart]({URL}/raw/HEAD/a/b.png)"),
        ("[![chart](b.png)](b.md)", "", f"[![chart]({URL}/raw/HEAD/b.png)]({URL}/blob/HEAD/b.md)"),
        ("[a](a.md) [b](https://b.org/c)", "a [b](https://b.org/c)", f"[a]({URL}/blob/HEAD/a.md) [b](https://b.org/c)"),
        ("![b](https://b.org/b.svg)", "![b](https://b.org/b.svg)", "![b](https://b.org/b.svg)"),
        ("[us](mailto:us@example.org)", "[us](mailto:us@example.org)", "[us](mailto:us@example.org)"),
        ("`rows[0](a.md)`", "`rows[0](a.md)`", "`rows[0](a.md)`"),
        (
            "```py\nrows[0](a)\n```\n[a](a)",
            "```py\nrows[0](a)\n```\na",
            f"```py\nrows[0](a)\n```\n[a]({URL}/blob/HEAD/a)",
        ),
    ],
)
def test_a_description_has_links_that_lead_somewhere_or_none(
    setup_py: types.ModuleType, markdown: str, without: str, with_url: str
) -> None:
    assert setup_py.description(markdown, "") == without
    assert setup_py.description(markdown, URL) == with_url


def test_the_versions_of_python_are_the_same_wherever_they_are_told() -> None:
    admitted = [f"3.{minor}" for minor in range(50) if f"3.{minor}.0" in SpecifierSet(PROJECT["requires-python"])]
    told = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if text.startswith("Programming Language")]
    assert [version for version in told if version != "Only"] == admitted
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    matrix = re.search(r"^ +python: \[(.*)\]$", workflow, re.MULTILINE)
    assert matrix is not None
    assert matrix[1].replace('"', "").split(", ") == admitted


@pytest.mark.parametrize(("installed", "told"), [(True, "1.2.3"), (False, "unknown")])
def test_the_version_is_the_installed_one_and_looked_up_only_when_asked_for(
    tmp_path: pathlib.Path, installed: bool, told: str
) -> None:
    (tmp_path / "transforms").mkdir()
    (tmp_path / "transforms" / "__init__.py").write_bytes((ROOT / "transforms" / "__init__.py").read_bytes())
    if installed:
        folder = tmp_path / "beam_image_embeddings-1.2.3.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.4\nName: beam-image-embeddings\nVersion: 1.2.3\n")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import transforms; "
        "print('importlib.metadata' in sys.modules, transforms.__version__)"
    )
    # Isolated, and without the packages that are installed here.
    command = [sys.executable, "-I", "-S", "-c", program, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", told]
