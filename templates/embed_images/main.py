"""What the template's launcher starts: the command, which hands the job over and never waits for it."""

import os
import sys

from pipelines.command import main

if __name__ == "__main__":
    # The workers use the launcher's image, unless the launch names another, so that their versions are the same.
    image = [f"--sdk_container_image={name}"] if (name := os.environ.get("EMBED_IMAGES_IMAGE")) else []
    sys.exit(main([*image, *sys.argv[1:], "--no_wait"]))
