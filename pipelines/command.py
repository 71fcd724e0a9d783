# PYTHON_ARGCOMPLETE_OK: shells that complete all Python programs look for this word.
"""The command: flags first, so that --help and mistakes are answered before Beam and TensorFlow are imported."""

import atexit
import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable, Sequence

import transforms
from pipelines.console.completion import complete_if_asked
from pipelines.console.exit_codes import DONE, INTERRUPTED, RUN_FAILED, USAGE
from pipelines.console.interrupts import raise_when_interrupted
from pipelines.console.lines import STDERR, complain, say
from pipelines.console.logs import log_to_stderr
from pipelines.console.shown_config import shown_config
from pipelines.console.streams import unfailing_streams
from pipelines.console.threads import noted_threads
from pipelines.console.unexpected import unexpected
from pipelines.options.arguments import Parser, prefix_of
from pipelines.options.command_line import check_beam_flags, parse
from pipelines.options.flags import parser
from pipelines.options.given import peeked
from pipelines.options.settings import Habits
from transforms.core.errors import Interrupted, RunError, UsageError

EXIT_SECONDS = 10.0
"""How long exit handlers may take after an interrupt, in seconds."""


def main(argv: list[str] | None = None) -> int:
    """Run `embed-images`; return one of `pipelines.console.exit_codes`."""
    complete_if_asked(parser)
    return run_command("embed-images", embed_images, argv)


def run_command(name: str, work: Callable[[list[str]], int], argv: list[str] | None, reads: str = "") -> int:
    """Run a command to its end, which is its exit code and at most one line of words.

    Args:
      name: the command's name.
      work: function that does what the arguments say, and returns an exit code.
      argv: the arguments; None takes those of the process.
      reads: name of the command whose variables it reads; default: its own.
    """
    arguments = sys.argv[1:] if argv is None else argv
    # Before all is parsed, since mistakes are told in this form, too.
    STDERR.command, STDERR.run_id = name, ""
    prefix = prefix_of(reads or name)
    STDERR.is_json = peeked("log_format", arguments, os.environ, prefix) == "json"
    STDERR.is_verbose = peeked("log_level", arguments, os.environ, prefix) == "debug"
    with unfailing_streams(), noted_threads():
        return _ended(name, work, arguments)


def _ended(name: str, work: Callable[[list[str]], int], argv: list[str]) -> int:
    try:
        raise_when_interrupted()
        return work(argv)
    except Interrupted as e:
        complain("", *str(e).split("\n"))
        if e.leaves_threads:
            end_now(INTERRUPTED)
        return INTERRUPTED
    except KeyboardInterrupt:
        complain("", f"{name}: interrupted")
        return INTERRUPTED
    except UsageError as e:
        complain(f"{name}: {e}")
        return USAGE
    except RunError as e:
        # The last line may be a command to copy; what others wrote is in one line by now.
        complain(*f"{name}: {e}".split("\n"))
        return RUN_FAILED
    except Exception as e:
        # Outside of a run, which has its own words for it: while it is planned, or in a dry run.
        complain(f"{name}: {unexpected('the command failed', e, verbose=STDERR.is_verbose)}")
        return RUN_FAILED


def embed_images(argv: list[str]) -> int:
    """Do what a command line of `embed-images` says; return the exit code.

    Raises:
      UsageError: something cannot work.
      RunError: the run began and failed.
      Interrupted: a signal ended the run.
    """
    settings, beam_args = parse(argv)
    speak(settings)
    if settings.list_backbones:
        list_backbones()
        return DONE
    if settings.only_prints:
        return answer(settings, parser(), beam_args)
    collect_seldom()
    from pipelines.plan.backbone_of import build_ahead
    from pipelines.plan.runner import Runner, runner_of

    build_ahead(settings, beam_args)
    if runner_of(beam_args) is not Runner.PORTABLE:
        # A job server has flags of its own, and is asked for them by the launcher.
        check_beam_flags(beam_args)
    from pipelines.embed_images import run

    return run(settings, beam_args)


def speak(settings: Habits) -> None:
    """Write to stderr in the form and from the level that a command's flags name."""
    STDERR.is_json, STDERR.is_verbose = settings.log_format == "json", settings.is_verbose
    log_to_stderr(settings.log_level)
    if not settings.is_verbose:
        silence()


def answer(settings: Habits, ours: Parser, beam_args: Sequence[str] = (), reads: Parser | None = None) -> int:
    """Print a command's settings or, if it is not asked for them, its version; return the exit code.

    Args:
      settings: what the person asked for.
      ours: the parser of the command.
      beam_args: flags for Beam.
      reads: the parser of the command whose files it reads; default: its own.
    """
    if settings.show_config:
        say(*shown_config(settings, ours, beam_args, reads or ours))
    else:
        say(f"{ours.prog} {transforms.__version__}")
    return DONE


def silence() -> None:
    """Silence Beam and TensorFlow, unless their own settings say otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    warnings.simplefilter("ignore")


def collect_seldom() -> None:
    """Make Python collect garbage seldom: what the libraries create on import stays until the process ends.

    Collecting took a tenth of the start and, with TensorFlow, 2 s at the end.
    """
    gc.set_threshold(20_000, 10, 10)
    atexit.register(gc.freeze)


def end_now(code: int) -> None:
    """End the process without waiting for threads that cannot be stopped, but end what it has started."""
    from transforms.backbones.kept import prebuild

    sys.stdout.flush()
    prebuild.stop()
    timer = threading.Timer(EXIT_SECONDS, os._exit, (code,))
    timer.daemon = True
    timer.start()
    # Beam's servers in other processes end so.
    atexit._run_exitfuncs()
    os._exit(code)


def list_backbones() -> None:
    """Print the backbones as a table: input size, width, parameters, accuracy, preprocessing."""
    from transforms.backbones import catalog_rows

    say(f"{'backbone':<18} {'size':>4} {'width':>5} {'parameters':>11} {'top-1 %':>7}  preprocessing")
    for b in catalog_rows().values():
        say(f"{b.name:<18} {b.side:>4} {b.dim:>5} {b.params:>11,} {b.top_1:>7}  {b.preprocessing}")


if __name__ == "__main__":
    sys.exit(main())
