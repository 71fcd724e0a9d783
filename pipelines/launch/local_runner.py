"""Beam's in-process runner, with worker processes that end with the command."""

import os
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.console.lines import STDERR
from pipelines.local_worker import worker_command


class LocalRunner(FnApiRunner):  # type: ignore[misc]
    """Runs a pipeline in this process, or in several of this machine where its options say so.

    Beam's own processes print tracebacks at Ctrl-C, and run on without the command.
    """

    def run_via_runner_api(self, pipeline_proto: Any, options: Any) -> Any:
        """Run a pipeline; other platforms than POSIX start Beam's own processes."""
        for environment in pipeline_proto.components.environments.values():
            if environment.urn == python_urns.SUBPROCESS_SDK and os.name == "posix":
                environment.payload = worker_command(STDERR.is_verbose).encode()
        return super().run_via_runner_api(pipeline_proto, options)
