"""Bring a collection in step every night from Airflow, with the request that `templates.schedule` checks and writes.

python -m templates.schedule ... --dry_run > nightly.json
"""

import json
import pathlib

import pendulum
from airflow import DAG
from airflow.providers.google.cloud.operators.dataflow import DataflowStartFlexTemplateOperator

NIGHTLY = json.loads((pathlib.Path(__file__).parent / "nightly.json").read_text(encoding="utf-8"))
# projects/PROJECT/locations/REGION/jobs/NAME
_, PROJECT, _, REGION, _, NAME = NIGHTLY["job"]["name"].split("/")

with DAG(
    NAME,
    schedule=NIGHTLY["job"]["schedule"],
    start_date=pendulum.datetime(2026, 1, 1, tz=NIGHTLY["job"]["timeZone"]),
    catchup=False,
    # A night that takes long is not joined by the next.
    max_active_runs=1,
):
    DataflowStartFlexTemplateOperator(
        task_id="embed_images",
        project_id=PROJECT,
        location=REGION,
        body=NIGHTLY["body"],
        # A job that fails, or loses more images than it may, fails the task; its night has no manifest.
        expected_terminal_state="JOB_STATE_DONE",
        append_job_name=False,
    )
