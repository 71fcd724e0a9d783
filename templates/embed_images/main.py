"""What the template's launcher starts: the command, which hands the job over and never waits for it."""

import os
import sys

from pipelines.command import main

if __name__ == "__main__":
    # The workers use the launcher's image, or the same with CUDA, unless the launch names another.
    name = os.environ.get("EMBED_IMAGES_IMAGE", "")
    if name and any(argument.startswith("--gpu=") or "worker_accelerator" in argument for argument in sys.argv):
        name += "-cuda"
    sys.exit(main([*([f"--sdk_container_image={name}"] if name else []), *sys.argv[1:], "--no_wait"]))
