"""The exit codes of `embed-images`, which say what became of the data."""

DONE, RUN_FAILED, USAGE, OVER_BUDGET, INTERRUPTED = 0, 1, 2, 3, 130

EXIT_CODES = {
    DONE: "done",
    RUN_FAILED: "the run failed; nothing half-written was kept",
    USAGE: "an argument is wrong or a check failed; no work was begun",
    OVER_BUDGET: "finished and written, but more inputs failed than --max_failure_ratio allows, or all did",
    INTERRUPTED: "interrupted; nothing half-written was kept, but a submitted Dataflow job runs on",
}
"""Each code with its meaning."""
