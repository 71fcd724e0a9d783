"""What `--help` says before it lists the flags, and how wide it is."""

import argparse
import shutil

USAGE = "embed-images --input PATH --output FOLDER [--FLAG VALUE ...]"
SUMMARY = "Embed images with a Keras backbone, into Parquet or TFRecord: one outcome for every input."
EXAMPLES = """\
examples:
  embed-images --input photos/ --output embeddings/
  embed-images --input list.csv --uri_column path --output out --backbone VGG16
  embed-images --input photos/ --output embeddings/ --existing update --dry_run"""
EPILOG = "Beam's own flags (--runner, --region, ...) pass through; the default runner uses this machine."

MAX_WIDTH = 80
"""Columns that are filled at most: longer lines of prose are hard to read."""


class HelpFormatter(argparse.HelpFormatter):
    """Fills paragraphs, but for those of several lines, such as examples; never wider than MAX_WIDTH."""

    def __init__(self, prog: str):
        super().__init__(prog, width=min(MAX_WIDTH, shutil.get_terminal_size().columns))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n\n".join(one if "\n" in one else fill(one, width, indent) for one in text.split("\n\n"))
