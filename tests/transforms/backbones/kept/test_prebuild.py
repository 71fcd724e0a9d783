"""Graphs built by a process of their own while the command imports Beam: found, reported and ended as if by itself."""

import http.server
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.sample_images import sample_pixels
from tests.conftest import exhaustive, sample_image
from transforms import Backbone
from transforms.backbones.kept import prebuild

COMMAND = "import sys; from pipelines.command import main; code = main(sys.argv[1:]); "
IMPORT = "from transforms.backbones.kept import prebuild; "
IMPORTED = "print('tensorflow' in sys.modules); "
SLOW = """if True:
    import time
    from transforms.backbones.kept import prebuild
    from transforms.backbones.backbone import WeightsFacts
    def slow(backbones, pipes):
        pipes[0].send(WeightsFacts(1280, "ab"))
        time.sleep(600)
    prebuild._build = slow
"""
SMALL = ("--weights", "random", "--image_size", "64", "--engine", "openvino")


@pytest.fixture
def arguments(tmp_path: pathlib.Path) -> list[str]:
    sample_image(3, 64, 64).save(tmp_path / "image.png")
    return ["--input", str(tmp_path / "image.png"), "--output", str(tmp_path / "out"), *SMALL]


@pytest.fixture
def environment(tmp_path: pathlib.Path) -> dict[str, str]:
    return {**os.environ, "EMBED_IMAGES_CACHE": str(tmp_path / "cache")}


def run(code: str, arguments: list[str], environment: dict[str, str]) -> tuple[int, list[str], str]:
    command = [sys.executable, "-c", code + "sys.exit(code)", *arguments]
    # In files: what is read to its end would wait for whoever else can write to it.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, start_new_session=True)
        process.wait()
        # Nobody of its group is left.
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
        out.seek(0)
        err.seek(0)
        return process.returncode, out.read().splitlines(), err.read()


def test_another_process_builds_and_the_numbers_are_keras_own(
    arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    arguments += ["--backbone", "MobileNetV2,MobileNet"]
    code, out, err = run(COMMAND + IMPORTED, arguments, environment)
    assert (code, out[-1], err) == (0, "False", "")
    assert len(os.listdir(tmp_path / "cache")) == 2
    image = keras.applications.mobilenet.preprocess_input(sample_pixels(3, 64, 64, grain=0)[None].astype(np.float32))
    for name in ("MobileNetV2", "MobileNet"):
        keras.utils.set_random_seed(0)
        build = getattr(keras.applications, name)
        model = build(weights=None, include_top=False, pooling="avg", input_shape=(64, 64, 3))
        (shard,) = (tmp_path / "out" / name).glob("parquet/*.parquet")
        (vector,) = pq.read_table(shard)["embedding"].to_pylist()
        expected = model(image, training=False).numpy()[0]
        np.testing.assert_allclose(vector, expected, rtol=1e-3, atol=np.abs(expected).max() * 1e-4)


NOTED = """if True:
    import sys
    from transforms.backbones.kept import prebuild
    start = prebuild.start
    def noted(backbones):
        libraries = {"apache_beam", "keras", "numpy", "pyarrow", "tensorflow"} & sys.modules.keys()
        print(*[backbone.name for backbone in backbones], "before", *sorted(libraries))
        start(backbones)
        print(len(prebuild._processes), "started")
    prebuild.start = noted
"""


@pytest.mark.exhaustive
def test_building_starts_before_beam_is_imported(arguments: list[str], environment: dict[str, str]) -> None:
    imported = "print('apache_beam' in sys.modules); "
    code, out, err = run(NOTED + COMMAND + imported, [*arguments, "--backbone", "MobileNetV2,MobileNet"], environment)
    assert (code, err) == (0, "")
    assert (out[:2], out[-1]) == (["MobileNetV2 MobileNet before", "1 started"], "True")


@pytest.mark.exhaustive
def test_what_is_kept_is_not_built_again(arguments: list[str], environment: dict[str, str]) -> None:
    for started in (1, 0):
        code, out, err = run(NOTED + COMMAND, arguments, environment)
        assert (code, err) == (0, "")
        assert out[:2] == ["MobileNetV2 before", f"{started} started"]
        arguments = [*arguments, "--existing=replace"]


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "flags",
    [["--weights", "{folder}/own.weights.h5"], ["--runner", "DirectRunner"], ["--precision", "bfloat16"]],
    ids=["own weights", "Beam's flags", "another precision"],
)
def test_nothing_is_started_for_what_another_machine_or_library_decides(
    flags: list[str], arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    flags = [flag.format(folder=tmp_path) for flag in flags]
    _, out, _ = run(NOTED + COMMAND, [*arguments, *flags], environment)
    assert "1 started" not in out


@pytest.mark.exhaustive
def test_what_keras_has_for_charts_and_tables_is_not_imported(
    arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    libraries, imported = tmp_path / "libraries", tmp_path / "imported"
    for name in prebuild.UNUSED:
        (libraries / name).mkdir(parents=True)
        note = f"if multiprocessing.parent_process(): open({str(imported)!r}, 'a').write('{name} ')"
        (libraries / name / "__init__.py").write_text(f"import multiprocessing\n{note}\nraise ImportError")
    environment["PYTHONPATH"] = os.pathsep.join([str(libraries), environment.get("PYTHONPATH", "")])
    assert run(COMMAND, arguments, environment)[0] == 0
    assert not imported.exists()
    # By itself it is, in such a process.
    keras_alone = (
        "import sys, multiprocessing as m; p = m.get_context('fork').Process(target=__import__, args=['keras']); "
    )
    assert run(keras_alone + "p.start(); p.join(); code = p.exitcode; ", [], environment)[0] == 0
    assert {*imported.read_text().split()} == {*prebuild.UNUSED}


@pytest.mark.exhaustive
def test_what_cannot_be_read_is_the_same_one_line(arguments: list[str], environment: dict[str, str]) -> None:
    code, out, err = run(COMMAND + IMPORTED, [*arguments, "--layer", "block_1_padd"], environment)
    assert (code, out) == (2, ["False"])
    assert err == "embed-images: MobileNetV2 has no layer 'block_1_padd' (did you mean 'block_1_pad'?)\n"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("facts", "graph", "messages"),
    [
        ("return 'facts'", "return lambda x: x, []", ["'facts'", "'kept'"]),
        *exhaustive(
            ("return 'facts'", "raise UsageError('no such size')", ["'facts'", "UsageError('no such size')"]),
            ("raise MemoryError", "return lambda x: x, []", []),
        ),
    ],
    ids=["kept", "no graph", "no facts"],
)
def test_facts_are_told_before_the_graph(
    facts: str, graph: str, messages: list[str], environment: dict[str, str]
) -> None:
    code = f"""
        import multiprocessing, sys, time
        from transforms import Backbone
        from transforms.backbones.graph import graph
        from transforms.backbones.graph.source import GraphSource
        from transforms.backbones.kept import graphs, prebuild
        from transforms.core.errors import UsageError
        def facts():
            time.sleep(0.5)
            {facts}
        def prepare():
            {graph}
        graph.keras_source = lambda _: GraphSource(facts, prepare)
        graphs.store = lambda *_: "kept"
        ours, theirs = multiprocessing.Pipe(duplex=False)
        prebuild._build([Backbone("MobileNet", weights="random")], [theirs])
        code = 0
        while ours.poll():
            try:
                print(repr(ours.recv()))
            except EOFError:
                break
    """
    assert run(textwrap.dedent(code), [], environment) == (0, messages, "")


def test_a_mistake_does_not_wait_for_the_graph(
    arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    code, out, err = run(SLOW + COMMAND + IMPORTED, [*arguments, "--input", str(tmp_path / "none")], environment)
    assert (code, out) == (2, ["False"])
    assert err.startswith("embed-images: nothing matches --input")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("prevented", "cached"),
    [
        (f"import os; {IMPORT}prebuild._build = lambda *_: os._exit(9); ", True),
        *exhaustive(
            ("import os; os.fork = lambda: os.open('/nowhere', os.O_RDONLY); ", True),
            ("import os; del os.fork; ", True),
            (f"import sys; sys.platform = 'darwin'; {IMPORT}sys.platform = {sys.platform!r}; ", True),
            (f"{IMPORT}prebuild.has_gpu = lambda: True; ", True),
            ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start(); ", True),
            ("", False),
        ),
    ],
    ids=["died", "refused", "no fork", "macOS", "a GPU", "a thread", "no cache"],
)
def test_the_command_builds_what_nobody_else_does(
    prevented: str, cached: bool, arguments: list[str], environment: dict[str, str]
) -> None:
    environment = environment if cached else {**environment, "EMBED_IMAGES_CACHE": ""}
    code, out, err = run(prevented + COMMAND + IMPORTED, arguments, environment)
    assert (code, out[-1], err) == (0, "True", "")


@pytest.mark.exhaustive
def test_a_cache_that_cannot_be_written_to_is_not_built_for(
    arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    environment["EMBED_IMAGES_CACHE"] = str(tmp_path / "image.png" / "cache")
    code, out, err = run(SLOW + COMMAND + IMPORTED, arguments, environment)
    assert (code, out[-1], err) == (0, "True", "")


def wait_until(happened: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.02)


def is_gone(pid: str) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def send(number: int, process: subprocess.Popen) -> None:
    # Ctrl-C and the loss of a terminal reach all of a group, what kills a command that command alone.
    of_terminal = number in (signal.SIGINT, signal.SIGHUP)
    os.killpg(process.pid, number) if of_terminal else process.send_signal(number)


@pytest.mark.parametrize("moment", ["importing", "waiting"])
@pytest.mark.parametrize("number", [signal.SIGINT, *exhaustive(signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)])
def test_the_other_process_ends_with_the_command(
    number: int, moment: str, arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    command = [sys.executable, "-c", SLOW + COMMAND + "sys.exit(code)", *arguments]
    with tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, stderr=err, env=environment, start_new_session=True)
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(children.read_text, process)
        (child,) = children.read_text().split()
        if moment == "waiting":
            # The output is claimed; Beam's pipeline is built, and the graph waited for.
            wait_until(lambda: list(tmp_path.glob("out/.run-*")), process)
            time.sleep(1)
        send(number, process)
        code = process.wait(timeout=20)
        wait_until(lambda: is_gone(child))
        err.seek(0)
        said = err.read()
    assert "Traceback" not in said
    if number == signal.SIGKILL:
        assert (code, said) == (-number, "")
    else:
        assert code == 130
        assert "interrupted" in said


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_cut_short_is_not_taken_for_weights(
    number: int, serve: object, arguments: list[str], environment: dict[str, str], tmp_path: pathlib.Path
) -> None:
    ended = threading.Event()

    def handler(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        request.wfile.write(bytes(100_000))
        ended.wait(60)

    code = f"""if True:
        import sys
        from transforms.backbones.kept import prebuild
        build = prebuild._build
        def from_here(*arguments):
            import keras
            sys.modules[keras.applications.MobileNet.__module__].BASE_WEIGHT_PATH = {serve(handler) + "/"!r}
            build(*arguments)
        prebuild._build = from_here
        from pipelines.command import main
        sys.exit(main(sys.argv[1:]))
    """
    environment["KERAS_HOME"] = str(tmp_path / "keras")
    flags = ["--backbone", "MobileNet", "--weights", "imagenet"]
    with tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments, *flags], stderr=err, env=environment, start_new_session=True
        )
        wait_until(lambda: [f for f in tmp_path.glob("keras/models/*.h5") if f.stat().st_size], process)
        send(number, process)
        process.wait(timeout=20)
        wait_until(lambda: not list(tmp_path.glob("keras/models/*.h5")))
        ended.set()
        err.seek(0)
        assert "Traceback" not in err.read()


def test_nothing_is_started_in_a_process_that_may_have_threads(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBED_IMAGES_CACHE", str(tmp_path))
    backbone = Backbone("MobileNet", weights="random", image_size=(32, 32))
    prebuild.start([backbone])
    assert (prebuild.wait_for_facts(backbone), prebuild.wait_for_graph(backbone)) == (None, None)
