"""Estimate the size of the Docker image by layer; each worker pulls it before it embeds anything.

Sizes are those of the wheels that requirements.txt pins, from the package index: a wheel is compressed, much as a layer
is when it is pulled. They are recorded, with their day, so that a check needs no network:

    python -m templates.image_size            print the estimate from what was recorded
    python -m templates.image_size --record   ask the index again (needs uv), after compiling requirements.txt

What is not a package is assumed, in ASSUMED. The weights that a build includes come on top.
"""

import datetime
import json
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

FOLDER = pathlib.Path(__file__).parent / "embed_images"
REQUIREMENTS, RECORDED = FOLDER / "requirements.txt", FOLDER / "image_size.json"

BUDGET_MB, CPU_BUDGET_MB = 4100, 1200
"""Maximum sizes of the pulled images, with and without CUDA. One of 12.3 GB took each worker 21 minutes; in proportion
these take 7 and 2."""

ASSUMED = {"python:3.11-slim-bookworm": 50, "Beam's boot and the launcher": 60, "this project": 1}
"""Sizes in MB, rounded up from what registries list for such images; not measured from here."""

CUDA = "CUDA's libraries and ONNX Runtime"
"""The layer that only the image for workers with a GPU has."""
ON_GPUS = ("nvidia-", "onnxruntime-gpu")
"""What the names of its packages begin with."""

PYTHON = (3, 11)
PLATFORMS = [*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)), "manylinux2014_x86_64"]
PLATFORMS += ["manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]


def pins(requirements: str) -> dict[str, str]:
    """Return the version of each package that a compiled requirements.txt pins."""
    return dict(re.findall(r"^([a-z][\w.-]*)==([\w.!+]+)", requirements, re.MULTILINE))


def layers(sizes: dict[str, int]) -> dict[str, float]:
    """Return the MB of each layer of the Dockerfile, from bytes by package."""
    cuda = sum(size for name, size in sizes.items() if name.startswith(ON_GPUS))
    return {CUDA: cuda / 1e6, "the other packages": (sum(sizes.values()) - cuda) / 1e6, **ASSUMED}


def report(recorded: dict[str, Any]) -> Iterator[str]:
    """Yield the estimate line by line: layers, their sum beside its budget, the largest packages."""
    sizes = {name: package["bytes"] for name, package in recorded["packages"].items()}
    by_layer = layers(sizes)
    yield f"image, compressed, from the wheels' sizes of {recorded['date']}"
    yield from (f"  {size:8,.0f} MB  {layer}" for layer, size in by_layer.items())
    total = sum(by_layer.values())
    yield f"  {total:8,.0f} MB  together, for workers with a GPU; the budget is {BUDGET_MB:,} MB"
    rest = total - by_layer[CUDA]
    yield f"  {rest:8,.0f} MB  without CUDA's libraries, for all others; the budget is {CPU_BUDGET_MB:,} MB"
    yield "the largest packages"
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:10]
    yield from (f"  {size / 1e6:8,.0f} MB  {name}" for name, size in largest)


def record() -> dict[str, Any]:
    """Ask the package index for the sizes of what requirements.txt pins.

    Raises:
      subprocess.CalledProcessError: uv failed.
    """
    target = [f"--python-version={PYTHON[0]}.{PYTHON[1]}", "--python-platform=x86_64-manylinux_2_28"]
    command = ["uv", "pip", "compile", "--quiet", "--no-deps", "--format=pylock.toml", *target, str(REQUIREMENTS)]
    lock = tomllib.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    packages = {p["name"]: {"version": p["version"], "bytes": _size(p)} for p in lock["packages"]}
    return {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), "packages": packages}


def _size(package: dict[str, Any]) -> int:
    """Return the bytes of the file that is installed: the best wheel, or the source if there is none."""
    ranks: dict[Tag, int] = {}
    for tag in (*cpython_tags(PYTHON, platforms=PLATFORMS), *compatible_tags(PYTHON, "cp311", PLATFORMS)):
        ranks.setdefault(tag, len(ranks))
    fitting = []
    for wheel in package.get("wheels", []):
        tags = parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]
        fitting += [(ranks[tag], wheel["size"]) for tag in tags if tag in ranks]
    return int(min(fitting)[1] if fitting else package["sdist"]["size"])


def main(argv: list[str]) -> int:
    """Record the sizes if asked to, print the estimate, and return 1 if it exceeds a budget."""
    if "--record" in argv:
        RECORDED.write_text(json.dumps(record(), indent=1) + "\n", encoding="utf-8")
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    print("\n".join(report(recorded)))
    by_layer = layers({name: package["bytes"] for name, package in recorded["packages"].items()})
    total = sum(by_layer.values())
    return 1 if total > BUDGET_MB or total - by_layer[CUDA] > CPU_BUDGET_MB else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
