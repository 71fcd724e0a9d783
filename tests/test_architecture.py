"""The shape of the code: which way imports run, who owns each outside library, how large a room is."""

import ast
import functools
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator

import pytest

from pipelines.command import main
from pipelines.sample_images import write_sample_images

ROOT = pathlib.Path(__file__).parent.parent

ROOMS = {
    "transforms.core": (),
    "transforms.storage": ("core",),
    "transforms.backbones": ("core", "storage"),
    "transforms.collection": ("core", "storage"),
    "transforms.read": ("core", "storage", "collection"),
    "transforms.fetch": ("core", "storage"),
    "transforms.decode": ("core",),
    "transforms.embed": ("core", "backbones"),
    "transforms.write": ("core", "storage", "collection"),
    "transforms.measure": ("core", "collection"),
    "transforms.update": ("core", "storage", "collection", "write"),
    "transforms.commit": ("core", "storage", "collection", "write"),
    "pipelines.options": ("transforms",),
    "pipelines.plan": ("options", "transforms"),
    "pipelines.console": ("options", "plan", "transforms"),
    "pipelines.local_worker": (),
    "pipelines.launch": ("options", "plan", "console", "local_worker", "transforms"),
    "pipelines.embed_images": ("options", "plan", "console", "launch", "transforms"),
    "pipelines.command": ("options", "plan", "console", "launch", "embed_images", "transforms"),
    "pipelines.similar": ("options", "plan", "console", "launch", "command", "transforms"),
    "pipelines.explain": ("options", "plan", "console", "launch", "similar", "command", "transforms"),
    "pipelines.report": ("options", "plan", "console", "launch", "command", "similar", "transforms"),
    "pipelines.projector": ("options", "plan", "console", "launch", "command", "similar", "transforms"),
    "pipelines.sample_images": ("options",),
}
"""What each room may import: stages do not know each other, and what composes them is known by none of them."""

OPTIONS_TAKE = {
    "transforms.core",
    "transforms.backbones.engines",
    "transforms.collection.choices",
    "transforms.collection.layout",
}
"""What the flags may import of the transforms: choices, without the libraries behind them."""

OWNERS = {
    "tensorflow": {"transforms/core/tensorflow_setup.py"},
    "keras": {"transforms/backbones/graph/keras_applications.py"},
    "h5py": {"transforms/backbones/weights/containers.py", "transforms/backbones/weights/nested.py"},
    "openvino": {"transforms/backbones/engines/openvino.py"},
    "onnx": {"transforms/backbones/own/onnx_models/file.py"},
    "onnxruntime": {"transforms/backbones/engines/onnxruntime.py"},
    "PIL": {
        "transforms/decode",
        "pipelines/similar/thumbnails.py",
        "pipelines/explain/picture.py",
        "pipelines/projector/sprite.py",
        "pipelines/sample_images.py",
    },
    "pillow_heif": {"transforms/decode/opening.py"},
    "filelock": {"transforms/storage/locks.py"},
    "urllib3": {"transforms/fetch", "transforms/storage/gcs_download.py"},
    "google": {"transforms/storage/gcs.py", "transforms/storage/gcs_download.py"},
    "google_crc32c": {"transforms/storage/gcs_download.py"},
    "requests": {"transforms/storage/gcs.py", "transforms/storage/gcs_download.py"},
    "grpc": {"pipelines/launch/portable/services.py"},
    "rich": {"pipelines/console/progress.py"},
    "argcomplete": {"pipelines/console/completion.py"},
    "argparse": {
        "pipelines/options",
        "pipelines/console/completion.py",
        "pipelines/console/reference.py",
        "pipelines/sample_images.py",
    },
    "pyarrow": {
        "transforms/collection/columns.py",
        "transforms/collection/values.py",
        "transforms/read",
        "transforms/write",
        "pipelines/similar/matrix.py",
        "pipelines/similar/tables.py",
    },
    "altair": {"pipelines/report/charts.py"},
    "vl_convert": {"pipelines/report/charts.py"},
    "sklearn": {"pipelines/report/projection.py"},
    "jinja2": {"pipelines/report/page.py"},
    "apache_beam": {
        "transforms/core",
        "transforms/storage",
        "transforms/collection/manifest.py",
        "transforms/read",
        "transforms/fetch/images.py",
        "transforms/decode/images.py",
        "transforms/embed/compare_canaries.py",
        "transforms/embed/images.py",
        "transforms/write",
        "transforms/update",
        "transforms/commit",
        "transforms/measure/health.py",
        "transforms/measure/near_duplicates.py",
        "transforms/measure/reasons.py",
        "transforms/measure/stage_times.py",
        "pipelines/launch",
        "pipelines/embed_images.py",
        "pipelines/local_worker.py",
        "pipelines/similar/many_workers.py",
        "pipelines/options/command_line.py",
    },
}
"""Arrow's types are the language in which uri lists and sinks speak of carried columns. Google's connections are those
of requests, and fail with its errors and urllib3's. What can think without Beam does: backbones, http, plans."""

LARGEST_ROOM = 12
"""Modules and folders of a room, not counting `__init__.py`, `py.typed` and the table of backbones."""

WITHOUT_TESTS = {
    "transforms/collection/choices.py": "declarations: the tests of the flags give them",
    "transforms/core/elements.py": "declarations: every test of a stage makes and reads them",
    "transforms/decode/formats/tiff/tags.py": "declarations: what reads a directory names them",
}
"""Modules without a test file of their own, with the reason."""


def sources(*folders: str) -> list[pathlib.Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: pathlib.Path) -> str:
    return name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: pathlib.Path) -> Iterator[str]:
    """Give what a file imports anywhere in it, also in functions; a name of a package may be a module of its own."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in own_modules() else str(node.module)


@functools.cache
def own_modules() -> frozenset[str]:
    return frozenset(module_of(path) for path in sources("transforms", "pipelines"))


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


def permitted(room: str, module: str) -> bool:
    top, name = module.split(".")[0], ".".join(module.split(".")[1:2])
    if room_of(module) == room:
        return True
    if room == "pipelines.options":
        return any(module == taken or module.startswith(f"{taken}.") for taken in OPTIONS_TAKE)
    return (name if top == room.split(".")[0] else top) in ROOMS[room]


def within(path: pathlib.Path, owners: Iterable[str]) -> bool:
    return any(name_of(path) == owner or name_of(path).startswith(f"{owner}/") for owner in owners)


CODE = [
    path for path in sources("transforms", "pipelines") if path.parent != ROOT / "transforms" or path.stem != "__init__"
]


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_imports_run_one_way(path: pathlib.Path) -> None:
    room = room_of(module_of(path))
    if room == "pipelines":
        return
    own = [module for module in imports(path) if module.split(".")[0] in ("transforms", "pipelines")]
    assert [module for module in own if not permitted(room, module)] == []


def test_no_module_imports_itself_by_a_detour() -> None:
    """Where types alone are imported nothing runs, and `transforms` itself names the homes of what it gives."""
    graph = {
        module_of(path): {module for module in imports(path) if module in own_modules()} - {"transforms"}
        for path in CODE
    }
    finished: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way, module))
        if module not in finished:
            for imported in sorted(graph.get(module, ())):
                visit(imported, (*way, module))
            finished.add(module)

    for module in sorted(graph):
        visit(module, ())


@pytest.mark.parametrize("path", sources("transforms", "pipelines"), ids=name_of)
def test_each_outside_library_is_imported_by_its_owners_alone(path: pathlib.Path) -> None:
    for module in imports(path):
        owners = OWNERS.get(module.partition(".")[0])
        assert owners is None or within(path, owners), module


@pytest.mark.parametrize("library", OWNERS)
def test_every_owner_owns_something(library: str) -> None:
    users = [path for path in sources("transforms", "pipelines") if library in {m.split(".")[0] for m in imports(path)}]
    for owner in OWNERS[library]:
        assert any(within(path, [owner]) for path in users), owner


@pytest.mark.parametrize("path", sources("transforms", "pipelines", "templates/embed_images"), ids=name_of)
def test_nothing_that_runs_knows_how_it_is_deployed_or_tested(path: pathlib.Path) -> None:
    assert not {"templates", "tests", "benchmarks"} & {module.split(".")[0] for module in imports(path)}


def test_no_room_is_too_large() -> None:
    for folder in {path.parent for path in sources("transforms", "pipelines")}:
        things = [path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
        assert len([path for path in things if path.name != "__init__.py"]) <= LARGEST_ROOM, folder


def test_settings_travel_typed() -> None:
    for path in sources("transforms", "pipelines"):
        if not within(path, ["pipelines/options"]):
            assert "Namespace" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("path", sources("transforms", "pipelines", "templates"), ids=name_of)
def test_no_message_installs_this_project_by_a_name_that_no_index_has(path: pathlib.Path) -> None:
    assert "beam-image-embeddings[" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sources("transforms", "pipelines"), ids=name_of)
def test_every_module_has_its_tests(path: pathlib.Path) -> None:
    """In the mirrored folder, so that a file of the same name elsewhere does not count."""
    if path.name == "__init__.py" or name_of(path) in WITHOUT_TESTS:
        return
    own = ROOT / "tests" / path.relative_to(ROOT).parent / f"test_{path.name}"
    assert own.exists(), own
    assert "def test_" in own.read_text(encoding="utf-8"), own


def test_only_what_is_installed_with_the_project_is_imported(tmp_path: pathlib.Path) -> None:
    # pandas, which Arrow reaches for in some calls, comes with the tests alone.
    (tmp_path / "pandas.py").write_text("raise ModuleNotFoundError('No module named pandas')")
    command = [sys.executable, "-c", "from tests.test_architecture import embed_samples; embed_samples()"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (result.returncode, result.stderr) == (0, "")


def embed_samples() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_sample_images(f"{folder}/samples", 3)
        flags = ["--weights", "random", "--image_size", "32", "--output_format", "parquet,tfrecord"]
        sys.exit(main(["--input", f"{folder}/samples", "--output", f"{folder}/out", *flags]))
