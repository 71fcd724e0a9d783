"""Compare this project with what a user would pick instead: same photos, backbone and weights, alternating, medians.

python -m benchmarks.compare --photos DIR --images 2000 --backbone MobileNetV2 --runs 3 --output benchmarks/results

Writes OUTPUT/BACKBONE.md (table) and OUTPUT/BACKBONE.png (chart). Without --photos it makes its own JPEGs; with
WEIGHTS=random in the environment it needs no download.
"""

import argparse
import datetime
import glob
import os
import pathlib
import platform
import re
import shutil
import tempfile

from benchmarks.measure import measure
from benchmarks.report import Run, chart, table
from pipelines.options.arguments import a_size
from pipelines.sample_images import HEIGHT, WIDTH, write_sample_images

WAYS: dict[str, tuple[str, dict[str, str]]] = {
    "this project, TensorFlow": ("this_project", {"ENGINE": "tensorflow"}),
    "this project, TensorFlow, warm cache": ("this_project", {"ENGINE": "tensorflow"}),
    "(d) forward alone, TensorFlow": ("forward_alone", {"ENGINE": "tensorflow"}),
    "decode alone": ("decode_alone", {}),
    "(d) forward alone, OpenVINO": ("forward_alone", {"ENGINE": "openvino"}),
    "this project, OpenVINO": ("this_project", {"ENGINE": "openvino"}),
    "this project, OpenVINO, warm cache": ("this_project", {"ENGINE": "openvino"}),
    "(a) Keras predict over tf.data": ("keras_predict", {}),
    "(b) Beam: Pillow, Reshuffle, RunInference": ("plain_beam", {"CALL": "eager"}),
    "(b, tuned) the same by predict_on_batch": ("plain_beam", {"CALL": "predict"}),
    "(c) Ray Data, one model actor": ("ray_data", {"NEEDS": "pandas"}),
    "(e) Daft, one model": ("daft_udf", {}),
    "(f) a loop by hand: processes, OpenVINO": ("hand_written", {}),
}
"""In the order of running: a shared machine changes within minutes, so each is near to what it is compared with."""


DIFFERENT = 100
"""Generated images that differ; the others are copies."""


def main() -> None:
    """Measure, and write the table and the chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", help="folder of images, repeated up to --images; default: generated JPEGs")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=a_size, default=(HEIGHT, WIDTH), help="of generated JPEGs, HEIGHTxWIDTH in px")
    parser.add_argument("--backbone", default="MobileNetV2")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(WAYS), help="run only ways whose names start like this")
    parser.add_argument("--output", default="benchmarks/results")
    arguments = parser.parse_args()
    chosen = {name: way for name, way in WAYS.items() if name.startswith(tuple(arguments.only))}
    with tempfile.TemporaryDirectory() as folder:
        photos = os.path.join(folder, "photos")
        gather(arguments.photos, photos, arguments.images, arguments.size)
        runs: list[Run] = []
        # The first run, not timed, fills the cache for the warm ways; the last, not timed either, measures memory.
        for run in range(arguments.runs + 2):
            runs.append({})
            for name, (way, environment) in chosen.items():
                if run == 0 and "warm" not in name:
                    continue
                cache = os.path.join(folder, "warm" if "warm" in name else "cold")
                variables = {**environment, "EMBED_IMAGES_CACHE": cache}
                measured = measure(way, photos, arguments.backbone, variables, memory=run > arguments.runs)
                shutil.rmtree(os.path.join(folder, "cold"), ignore_errors=True)
                speeds = f"{measured.rate:7.1f} img/s {measured.seconds:7.1f} s {measured.steady:7.1f} img/s, steady"
                print(f"run {run}  {name:<44} {speeds}", flush=True)
                runs[run][name] = measured
    _, *timed, looked_at = runs
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    day = datetime.date.today().isoformat()
    sizes = f"{arguments.images:,} images, {os.cpu_count()} cores of {processor()}, {arguments.runs} runs"
    height, width = arguments.size
    is_usual = arguments.photos or arguments.size == (HEIGHT, WIDTH)
    name = arguments.backbone if is_usual else f"{arguments.backbone}-{width}x{height}"
    title = f"{name}, {sizes}, {day}"
    (output / f"{name}.md").write_text(table(title, timed, looked_at))
    chart(title, timed, str(output / f"{name}.png"))
    print(table(title, timed, looked_at))


def gather(source: str | None, folder: str, images: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """Fill a folder with this many images: copies of those in `source`, or generated ones."""
    if source is None:
        with tempfile.TemporaryDirectory() as source:
            write_sample_images(source, min(images, DIFFERENT), *size)
            gather(source, folder, images)
        return
    os.makedirs(folder)
    files = sorted(glob.glob(os.path.join(glob.escape(source), "*")))
    for i in range(images):
        shutil.copyfile(files[i % len(files)], os.path.join(folder, f"{i:06d}.jpg"))


def processor() -> str:
    """Return the name of the processor and its widest vectors, which decide the ratios more than anything else."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            facts = dict(re.findall(r"^(.*?)\s*: (.*)$", f.read(), re.MULTILINE))
    except OSError:
        return platform.machine()
    widest = next((name for name in ("avx512f", "avx2") if name in facts.get("flags", "").split()), "")
    return " ".join([facts.get("model name", platform.machine()), widest.upper()]).strip()


if __name__ == "__main__":
    main()
