"""What is logged: levels, the run's id in each line, JSON that can be parsed, no secret."""

import json
import logging
import pathlib
import re
import subprocess
import sys

import pytest

from pipelines.console.lines import STDERR
from pipelines.console.logs import BRIEF, DETAILED, JsonFormatter, PrintableFormatter
from tests.conftest import Handler, sample_image
from tests.pipelines.conftest import LIGHT
from transforms.collection.manifest import read_manifest

ROOT = pathlib.Path(__file__).parents[3]


def record(message: str, *args: object, level: int = logging.WARNING) -> logging.LogRecord:
    made = logging.LogRecord("transforms.x", level, "", 1, message, args, None)
    made.created, made.msecs = 1_700_000_000.25, 250.0
    return made


def test_text_is_brief_for_a_person_and_detailed_for_who_looks_for_a_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STDERR, "run_id", "RUN")
    assert PrintableFormatter(BRIEF).format(record("%d lost", 3)) == "embed-images: 3 lost"
    assert PrintableFormatter(DETAILED).format(record("%d lost", 3)) == "2023-11-14T22:13:20.250Z WARNING RUN 3 lost"


def test_json_has_four_keys_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STDERR, "run_id", "RUN")
    line = JsonFormatter().format(record("at %s", "https://me:pw@h/a?sig=secret"))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "warning",
        "message": "at https://***@h/a?sig=***",
        "run_id": "RUN",
    }


def logged(*flags: str) -> list[str]:
    """Run the command by itself; return the lines of its stderr."""
    command = [sys.executable, "-m", "pipelines.command", *flags]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_a_run_tells_of_retries_and_of_the_end_of_each_stage_with_its_id(tmp_path: pathlib.Path, serve: object) -> None:
    photo = tmp_path / "a.jpg"
    sample_image(0).save(photo)
    asked: list[str] = []

    def answer(request: Handler) -> None:
        asked.append(request.path)
        request.send_response(503 if len(asked) == 1 else 200)
        data = b"" if len(asked) == 1 else photo.read_bytes()
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    uri = f"{serve(answer)}/a.jpg?sig=secret"
    flags = ["--input", uri, "--allow_private_hosts", *LIGHT, "--log_level=info", "--log_format=json"]
    lines = [json.loads(line) for line in logged(*flags, "--output", str(tmp_path / "out"))]
    manifest = read_manifest(str(tmp_path / "out"))
    assert manifest
    assert {(line["level"], line["run_id"]) for line in lines} == {("info", manifest["run_id"])}
    messages = [line["message"] for line in lines]
    masked = uri.replace("secret", r"\*\*\*").replace("?", r"\?")
    (retry,) = [message for message in messages if message.startswith("attempt 1 failed")]
    assert re.fullmatch(rf"attempt 1 failed, another follows in 0\.5 s: {masked}: the server answered 503 .*", retry)
    ended = {match[1] for message in messages if (match := re.match(r"stage (\w+) ended", message))}
    assert ended == {"read", "fetch", "decode", "forward", "write", "commit"}


def test_a_run_is_silent_by_default(tmp_path: pathlib.Path) -> None:
    sample_image(0).save(tmp_path / "a.jpg")
    assert logged("--input", str(tmp_path / "a.jpg"), "--output", str(tmp_path / "out"), *LIGHT) == []


def test_a_mistake_is_told_in_json_to_who_asks_for_it() -> None:
    command = [sys.executable, "-m", "pipelines.command", "--batch_size=0", "--log_format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    told = json.loads(done.stderr)
    assert told["level"] == "error"
    assert told["message"].startswith("argument --batch_size: must be a whole number")
