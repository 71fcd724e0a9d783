"""Hostile models of every shape, end to end: one line, no code, nothing read but the model, no memory, no image."""

import http.server
import pathlib
import zipfile
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import Handler, answer, exhaustive, sample_image
from tests.forked_runs import ForkedRuns
from tests.hostile_models import keras_files, onnx_files, programs
from tests.hostile_models.trap import Trap

MEMORY = 6 << 30
"""What a run may take beside its libraries, in bytes: this machine's own memory is never at stake."""
SECONDS = 60
"""After which a run that waits, or computes for ever, is ended; each takes a second or two."""

SAMPLE = {
    "keras": ("Lambda", "StringLookup", "external link", "zip bomb of a config", "thousands of layers", "UpSampling2D"),
    "onnx": (
        "absolute path",
        "tensor of terabytes",
        "endless loop",
        "ConstantOfShape as a shape",
        "MatMul of what is expanded",
    ),
    "program": ("not trusted, cannot be read", "pipe"),
}
"""What the quick run takes, of each kind."""
TABLE = {"keras": keras_files.REFUSED, "onnx": onnx_files.REFUSED, "program": programs.REFUSED}
SHAPES = [
    one
    for kind, table in TABLE.items()
    for name in table
    for one in ([(kind, name)] if name in SAMPLE[kind] else exhaustive((kind, name)))
]


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Trap:
    return Trap(tmp_path_factory.mktemp("trap", numbered=False))


@pytest.fixture(scope="module")
def forked(trap: Trap) -> Iterator[ForkedRuns]:
    """Runs that could import what is in the trap."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(trap.folder), prepend=":")
        with ForkedRuns() as runs:
            yield runs


@pytest.fixture
def asked(serve: Callable[[Handler], str], tmp_path: pathlib.Path) -> list[str]:
    """The images that were asked for; `images.txt` lists one."""
    paths: list[str] = []
    sample_image(1, 40, 30).save(tmp_path / "a.png")

    def handler(request: http.server.BaseHTTPRequestHandler) -> None:
        paths.append(request.path)
        answer(request, 200, (tmp_path / "a.png").read_bytes())

    (tmp_path / "images.txt").write_text(f"{serve(handler)}/a.png\n")
    return paths


def flags_of(kind: str, name: str, folder: pathlib.Path, trap: Trap) -> list[str]:
    """Make a hostile model; return the flags that name it."""
    folder.mkdir()
    if kind == "keras":
        packing = zipfile.ZIP_DEFLATED if "zip bomb" in name else zipfile.ZIP_STORED
        files = keras_files.REFUSED[name](trap)
        return ["--model", str(keras_files.saved(files, folder / "a.keras", packing)), "--preprocess", "raw"]
    if kind == "onnx":
        model = onnx_files.REFUSED[name](trap)
        return ["--model", str(onnx_files.saved(model, folder / "a.onnx", trap)), "--preprocess", "raw"]
    return programs.REFUSED[name](folder, trap)


def ended(forked: ForkedRuns, folder: pathlib.Path, model: list[str]) -> tuple[int, str]:
    """Run the command within bounds; return its exit code and its stderr."""
    read = ["--input", str(folder / "images.txt"), "--output", str(folder / "out"), "--allow_private_hosts"]
    ((code, said),) = forked({"argv": [*read, *model], "memory": MEMORY, "seconds": SECONDS})
    return code, said


@pytest.mark.parametrize(("kind", "name"), SHAPES)
def test_a_hostile_model_is_refused_in_one_line_before_any_image_is_read(
    kind: str, name: str, forked: ForkedRuns, trap: Trap, asked: list[str], tmp_path: pathlib.Path
) -> None:
    flags = flags_of(kind, name, tmp_path / "model", trap)
    trap.trace.unlink(missing_ok=True)
    code, said = ended(forked, tmp_path, flags)
    assert (code, len(said.splitlines())) == (2, 1), said
    assert said.startswith("embed-images: ")
    assert not trap.trace.exists()
    assert asked == []
    assert not (tmp_path / "out").exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", keras_files.HARMLESS)
def test_what_nobody_reads_of_a_model_does_nothing(
    name: str, forked: ForkedRuns, trap: Trap, asked: list[str], tmp_path: pathlib.Path
) -> None:
    path = keras_files.saved(keras_files.HARMLESS[name](trap), tmp_path / "a.keras")
    trap.trace.unlink(missing_ok=True)
    before = {*tmp_path.iterdir()}
    assert ended(forked, tmp_path, ["--model", str(path)]) == (0, "")
    assert not trap.trace.exists()
    assert asked == ["/a.png"]
    assert {*tmp_path.iterdir()} - before == {tmp_path / "out"}


@pytest.mark.exhaustive
def test_the_trap_snaps_where_code_is_run(trap: Trap) -> None:
    """The tests above would notice."""
    trap.trace.unlink(missing_ok=True)
    layer = keras_files.layers.Lambda.from_config({"function": keras_files.code(trap)}, safe_mode=False)
    layer(keras_files.np.zeros((1, 2)))
    assert trap.trace.exists()
