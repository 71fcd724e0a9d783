"""The exit codes of `embed-images`, which say what became of the data."""

DONE, RUN_FAILED, USAGE, OVER_BUDGET, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = {
    DONE: "done",
    RUN_FAILED: "the run failed; at most finished parts were kept, from which the same command goes on",
    USAGE: "an argument is wrong or a check failed; no work was begun",
    OVER_BUDGET: "finished and written, but more inputs failed than --max_failure_ratio allows, or all did",
    INTERRUPTED: "interrupted; as for 1, but a submitted Dataflow job runs on",
}
"""Each code with its meaning."""
