"""What is typed into a shell, in a real terminal, and what is on its screen then: mistakes, help, progress, Ctrl-C."""

import contextlib
import http.server
import pathlib
import re
import shlex
import threading
from collections.abc import Callable, Iterator

import pytest

from pipelines.sample_images import write_sample_images
from tests.conftest import answer, exhaustive, sample_image
from tests.terminal import WIDTH, Terminal, terminal

LIGHT = "--weights random --backbone MobileNet --backbone_kwargs '{\"alpha\": 0.25}' --image_size 32"
OUT = "--output out"
PROGRESS = re.compile(r"^[1-9]\d* of 400 images \(\d+%\), [\d.]+ img/s, \d+ failed")

DRIVE = (
    ": a page of Google Drive or Photos, not an image; download what it shows, or copy it to a bucket, and name that"
)

MISTAKES = [
    # Of two mistakes the one that explains the other comes first.
    ("embed-images --inptu photos --output out", "unknown flag --inptu (did you mean '--input'?); see embed-images"),
    ("embed-images --input photos", "--output is missing; see embed-images --help"),
    (
        f"embed-images --input my photos {OUT}",
        "unexpected 'photos' after --input my: quote what has blanks or is a glob, as in --input 'my photos', or "
        "repeat --input before each; see embed-images --help",
    ),
    (
        f"embed-images --input photos/*.jpg {OUT}",
        "unexpected 'photos/1.jpg' after --input photos/0.jpg: quote what has",
    ),
    (f"embed-images photos {OUT}", "unexpected 'photos': each value needs its flag, as in --input photos;"),
    (f"embed-images --input photos {OUT} --pooling most", "argument --pooling: invalid choice: 'most' (choose from"),
    ("explain-image photos/0.jpg", "unexpected 'photos/0.jpg': each value needs its flag, as in --input photos/0.jpg;"),
    ("explain-image --input photos", "--input photos is a folder; name one of its images"),
    ("similar-images --embeddings out --pairs --top 3", "--top is for --to; see similar-images --help"),
    *exhaustive(
        (f"embed-images --input ~/nothing {OUT}", "nothing matches --input {home}/nothing; check the path, or quote"),
        (f"embed-images --input=~/nothing {OUT}", "nothing matches --input {home}/nothing; check the path, or quote"),
        ("similar-images --embeddings=~/none --pairs", "there is no collection in --embeddings {home}/none;"),
        (f"embed-images --input 'my photos' {OUT}", "nothing matches --input {home}/my photos; check the path, or"),
        (f"embed-images --input photos.zip {OUT}", "--input {home}/photos.zip is an archive; unpack it, and name the"),
        (f"embed-images --input photos.tar.gz {OUT}", "--input {home}/photos.tar.gz is an archive; unpack it, and"),
        (
            f"embed-images --input 'https://drive.google.com/file/d/1AbC/view?usp=sharing' {OUT}",
            DRIVE,
        ),
        (
            "explain-image --input https://drive.google.com/drive/folders/1AbC",
            DRIVE,
        ),
        (f"embed-images --input s3://bucket/photos {OUT}", "run: pip install 'apache-beam[aws]'"),
        (
            f"embed-images --input photos {OUT} --backbone MobilNetV2",
            "unknown backbone 'MobilNetV2' (did you mean 'MobileNetV2'?); see --list_backbones",
        ),
        (
            f"embed-images --input photos {OUT} --runner DirctRunner",
            "is not a runner of Beam (did you mean 'DirectRunner'?)",
        ),
    ),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder where things are typed, which is the home folder, too."""
    folder = tmp_path_factory.mktemp("terminal") / "home"
    write_sample_images(str(folder / "photos"), 2, 120, 160)
    for i in range(2):
        (folder / "photos" / f"{i:06d}.jpg").rename(folder / "photos" / f"{i}.jpg")
    # What an iPhone writes, as far as its first bytes say.
    (folder / "phone").mkdir()
    (folder / "phone" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    return folder


@pytest.fixture(scope="module")
def shell(home: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A terminal that tests share; pillow-heif and boto3 are not installed there."""
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "pillow_heif.py").write_text("raise ModuleNotFoundError('No module named pillow_heif')")
    cache = str(tmp_path_factory.mktemp("cache"))
    yield from terminal(home, EMBED_IMAGES_CACHE=cache, PYTHONPATH=str(hidden))


@pytest.mark.parametrize(("typed", "says"), MISTAKES)
def test_a_mistake_is_answered_with_what_to_type(typed: str, says: str, shell: Terminal, home: pathlib.Path) -> None:
    found = shell.answer(typed)
    assert found.code == 2
    (line,) = found.lines
    assert line.startswith(f"{typed.split()[0]}: ")
    assert says.format(home=home) in line


@pytest.mark.exhaustive
def test_heic_without_its_package_names_the_package(shell: Terminal) -> None:
    found = shell.answer(f"embed-images --input phone --output heic {LIGHT}")
    assert found.code == 3
    assert "  failed    1 unsupported_heif (transient), e.g. " in found.text
    assert "pip install pillow-heif" in found.text
    assert "Traceback" not in found.text


def test_a_failed_image_is_explained_with_the_way_out(shell: Terminal, home: pathlib.Path) -> None:
    found = shell.answer("explain-image --input=~/phone/IMG_1.HEIC")
    assert found.code == 3
    assert found.lines[0] == f"{home}/phone/IMG_1.HEIC"
    assert "failed: unsupported_heif (transient), " in found.text
    assert "HEIF; pip install pillow-heif" in found.text


@pytest.mark.parametrize("command", ["embed-images", *exhaustive("explain-image")])
def test_help_fills_the_screen_and_no_more_and_begins_with_examples(command: str, shell: Terminal) -> None:
    found = shell.answer(f"{command} --help")
    assert found.code == 0
    assert max(map(len, found.lines)) <= WIDTH
    usage, *rest = found.lines
    assert re.fullmatch(rf"usage: {command} --input \w+ (--output FOLDER )?\[--FLAG VALUE \.\.\.\]", usage)
    at = rest.index("examples:")
    assert at < 6
    examples = rest[at + 1 : rest.index("", at)]
    assert len(examples) == 3
    assert all(line.startswith(f"  {command} --input ") for line in examples)
    assert at < rest.index("options:")


@pytest.mark.parametrize("command", ["embed-images", "explain-image"])
def test_the_version_is_one_line(command: str, shell: Terminal) -> None:
    found = shell.answer(f"{command} --version")
    assert found.code == 0
    assert re.fullmatch(rf"{command} \d+\.\d+\.\d+\S*", found.text)


class Images:
    """A handler of a server that gives some images at once, and the others when they are let go."""

    def __init__(self, at_once: int, folder: pathlib.Path):
        sample_image(0).save(folder / "served.jpg")
        self._data = (folder / "served.jpg").read_bytes()
        self._left = threading.Semaphore(at_once)
        self.is_waited_for, self.let_go = threading.Event(), threading.Event()

    def __call__(self, request: http.server.BaseHTTPRequestHandler) -> None:
        if not self._left.acquire(blocking=False):
            self.is_waited_for.set()
            self.let_go.wait(120)
        # Whoever was interrupted waits no longer.
        with contextlib.suppress(ConnectionError):
            answer(request, 200, self._data)


@pytest.fixture
def images(tmp_path: pathlib.Path) -> Iterator[Images]:
    """Images of which 100 come at once."""
    found = Images(100, tmp_path)
    yield found
    found.let_go.set()


def embedding(images: Images, serve: Callable[..., str], home: pathlib.Path, output: str, flags: str = "") -> str:
    """Return the command that embeds 400 of them."""
    there = serve(images)
    (home / f"{output}.txt").write_text("".join(f"{there}/{i}.jpg\n" for i in range(400)))
    # Images wait until the test lets them go, however long the backbone takes to load.
    waits = "--allow_private_hosts --fetch_timeout 600"
    return f"embed-images --input {output}.txt --output {output} {waits} --batch_size 4 {LIGHT} {flags}"


def shown(shell: Terminal) -> list[str]:
    """The lines of progress on the screen."""
    return [line for line in shell.screen() if PROGRESS.search(line)]


@pytest.mark.exhaustive
def test_progress_is_live_and_leaves_a_clean_screen(
    images: Images, serve: Callable[..., str], shell: Terminal, home: pathlib.Path
) -> None:
    shell.type(embedding(images, serve, home, "live"))
    shell.wait_for(lambda: bool(shown(shell)))
    # One line, which is rewritten.
    assert len(shown(shell)) == 1
    images.let_go.set()
    found = shell.ended()
    assert found.code == 0
    # On a busy machine the server may turn a connection away.
    assert re.fullmatch(rf"\d+ of 400 inputs embedded by MobileNet into {home}/live", found.lines[0])
    assert shown(shell) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_ends_a_run_with_what_to_type_next_and_leaves_no_process(
    workers: int, images: Images, serve: Callable[..., str], shell: Terminal, home: pathlib.Path
) -> None:
    flags = f"--direct_running_mode=multi_processing --direct_num_workers={workers}" if workers else ""
    typed = embedding(images, serve, home, f"ended{workers}", flags)
    shell.type(typed)
    shell.wait_for(lambda: images.is_waited_for.is_set() and (workers > 0 or bool(shown(shell))))
    shell.press("C-c")
    found = shell.ended()
    assert found.code == 130
    assert shown(shell) == []
    told = [line.removeprefix("^C") for line in found.lines if line.removeprefix("^C")]
    assert told[0].startswith("interrupted, ")
    assert shlex.split(told[1]) == shlex.split(typed)
    assert len(told) == 2
    assert not (home / f"ended{workers}" / "manifest.json").exists()
    shell.wait_for(lambda: shell.processes() == [])
