"""The command: options first, so that --help and mistakes are answered before Beam and TensorFlow are imported."""

import atexit
import gc
import logging
import os
import sys
import warnings

from pipelines.options.flags import check_beam_flags, parse
from transforms.core.errors import RunError, UsageError

EXIT_CODES = {
    0: "done",
    1: "the run failed; nothing half-written was kept",
    2: "an argument is wrong or a check failed; nothing was begun",
    3: "finished and written, but more failed than --max_failure_ratio allows, or everything did",
    130: "interrupted; nothing half-written was kept, and a Dataflow job that was submitted runs on",
}


def main(argv: list[str] | None = None) -> int:
    """Run `embed-images`; return one of EXIT_CODES."""
    try:
        options, beam_args = parse(sys.argv[1:] if argv is None else argv)
        if not options.verbose:
            silence()
        if options.list_backbones:
            list_backbones()
            return 0
        collect_seldom()
        from pipelines.plan.backbone_of import build_ahead

        build_ahead(options, beam_args)
        check_beam_flags(beam_args)
        from pipelines.embed_images import run

        return run(options, beam_args)
    except KeyboardInterrupt:
        print("\nembed-images: interrupted", file=sys.stderr)
        return 130
    except (UsageError, RunError) as e:
        print(f"embed-images: {e}", file=sys.stderr)
        return 2 if isinstance(e, UsageError) else 1


def silence() -> None:
    """Turn off what Beam and TensorFlow say by themselves; their own settings win where they are given."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.CRITICAL)


def collect_seldom() -> None:
    """Let Python look for garbage seldom: what the libraries make at their start stays until the process ends.

    It took a tenth of the start, and with TensorFlow 2 s of the end.
    """
    gc.set_threshold(20_000, 10, 10)
    atexit.register(gc.freeze)


def list_backbones() -> None:
    """Print the backbones as a table: input size, width, parameters, preprocessing."""
    from transforms.backbones.catalog.facts import catalog

    print(f"{'backbone':<18} {'size':>4} {'width':>5} {'parameters':>11}  preprocessing")
    for b in catalog().values():
        print(f"{b.name:<18} {b.size:>4} {b.dim:>5} {b.params:>11,}  {b.preprocessing}")
