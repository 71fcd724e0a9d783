"""Decoding alone, with this project's decoder, on all cores."""

import concurrent.futures
import os
import time

from benchmarks.ways import run
from transforms.decode import decode_image


def decode(path: str) -> None:
    with open(path, "rb") as f:
        decode_image(f.read(), [(224, 224)])


def embed(paths: list[str], output: str, backbone: str) -> float:
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        started = time.monotonic()
        list(pool.map(decode, paths))
        return len(paths) / (time.monotonic() - started)


if __name__ == "__main__":
    run(embed)
