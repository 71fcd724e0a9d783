"""A uri list made by a stranger: what the command prints and says of it is harmless, and gives nothing away."""

import json
import pathlib
import re
from collections.abc import Callable

import pytest

from pipelines.command import main
from tests.conftest import answer, sample_image

SECRETS = ("hunter2", "51gnature", "t0ken")
ACTED_UPON = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f]")


@pytest.mark.parametrize("flags", [[], ["--dry_run"]], ids=["run", "dry run"])
def test_uris_are_printed_and_counted_without_their_secrets_and_escapes(
    flags: list[str],
    tmp_path: pathlib.Path,
    serve: Callable[..., str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """(4e): a log would hold passwords and signatures, and a name could forge a line of the summary."""
    output, uris = tmp_path / "out", tmp_path / "uris.jsonl"
    host = serve(lambda request: answer(request, 404)).removeprefix("http://")
    hostile = [
        f"http://me:hunter2@{host}/a.jpg?X-Goog-Signature=51gnature",
        f"http://{host}/b.jpg?sig=51gnature&w=1",
        f"xyzzy://me:hunter2@{host}/c.jpg?access_token=t0ken",
        f"{tmp_path}/d.jpg\n  counts    inputs 1 = embedded 1\x1b[1A\x9b2J\u202e",
    ]
    sample_image(1).save(tmp_path / "good.jpg")
    rows = [{"uri": uri, "\x1b[31m\u202ecolumn": "x"} for uri in [*hostile, "good.jpg"]]
    uris.write_text("".join(json.dumps(row) + "\n" for row in rows))
    needed = ["--input", str(uris), "--output", str(output), "--weights", "random", "--image_size", "32"]
    assert main([*needed, "--allow_private_hosts", *flags]) == 0
    texts = [*capfd.readouterr()]
    assert "X-Goog-Signature=***" in texts[0] or "sig=***" in texts[0]
    if not flags:
        texts.append((output / "manifest.json").read_text())
        failures = "".join(path.read_text() for path in (output / "failures").iterdir())
        assert {json.loads(line)["uri"] for line in failures.splitlines()} == set(hostile)
        assert json.loads(texts[2])["counts"]["embedded"] == 1
    for text in texts:
        assert not ACTED_UPON.search(text)
        assert not any(secret in text for secret in SECRETS)
        assert not any(line.startswith("  counts    inputs 1 =") for line in text.splitlines())
