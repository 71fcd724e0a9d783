"""The deployment as data: parsed, and compared with the manual and with what the commands print; never applied here."""

import json
import pathlib
import re
import runpy
import sys
import types
from typing import Any

import hcl2
import pytest
from google.cloud import dataflow_v1beta3
from google.protobuf.json_format import ParseDict

from templates import deploy, schedule
from templates.clients import run_command
from tests.templates.test_schedule import FLAGS, GIVEN

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "templates" / "terraform"
MANUAL = (ROOT / "templates" / "README.md").read_text(encoding="utf-8")
TEXT = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.tf"))}
PARSED = {name: hcl2.loads(text) for name, text in TEXT.items()}


def plain(value: Any) -> Any:
    """Return a parsed value without the quotes of its strings and names."""
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else str(value).strip('"')


LOCALS = {name: value for block in PARSED["accounts.tf"]["locals"] for name, value in plain(block).items()}


@pytest.fixture
def nightly(capsys: pytest.CaptureFixture[str]) -> Any:
    assert run_command(schedule.main, [*FLAGS, *GIVEN, "--dry_run"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("account", ["builder", "worker", "launcher", "you"])
def test_each_account_has_the_roles_of_the_manual(account: str) -> None:
    (row,) = re.findall(rf"^\| `?{account}`? \|.*$", MANUAL, re.MULTILINE)
    told = set(re.findall(r"roles/[\w.]+", row))
    given = {role for place in ("on_project", "on_repository", "on_bucket") for role in LOCALS[place].get(account, [])}
    if any(account in users for users in LOCALS["users"].values()):
        given.add("roles/iam.serviceAccountUser")
    if account == "worker":
        given |= {
            plain(PARSED["accounts.tf"]["resource"])[-2]["google_storage_bucket_iam_member"]["reads_images"]["role"]
        }
    assert given == told
    used = re.findall(r"`(\w+)`", row.partition("roles/iam.serviceAccountUser` on ")[2])
    assert sorted(used) == sorted(whom for whom, users in LOCALS["users"].items() if account in users)


def test_the_services_are_those_of_the_manual_and_the_one_of_alerts() -> None:
    (command,) = re.findall(r"gcloud services enable ((?:.|\\\n)*?[^\\])\n", MANUAL)
    services = plain(PARSED["main.tf"]["resource"])[0]["google_project_service"]["used"]["for_each"]
    assert set(re.findall(r"\w+\.googleapis\.com", services)) == {
        *re.findall(r"\w+\.googleapis\.com", command),
        "monitoring.googleapis.com",
    }


def test_what_the_schedule_is_made_of_is_what_the_command_prints(nightly: Any) -> None:
    paths = set(re.findall(r"local\.nightly\[count\.index\]\.([\w.]+)", TEXT["schedule.tf"]))
    assert len(paths) > 10
    for path in paths:
        found = nightly["job"]
        for name in path.split("."):
            found = found[name]
        assert found, path


def test_what_is_put_out_are_flags_of_the_commands() -> None:
    for output in PARSED["outputs.tf"]["output"]:
        ((name, value),) = plain(output).items()
        module, flag = re.findall(r"`python -m templates\.(\w+) --(\w+)`", value["description"])[0]
        assert name == flag
        parser = {"deploy": deploy, "schedule": schedule}[module].parser()
        assert f"--{flag}" in parser._option_string_actions


def test_each_variable_is_used_and_each_that_is_used_declared() -> None:
    declared = {name for block in PARSED["variables.tf"]["variable"] for name in plain(block)}
    assert set(re.findall(r"\bvar\.(\w+)", "\n".join(TEXT.values()))) == declared


def test_the_airflow_example_sends_the_same_request(
    nightly: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow is not installed: what it would be given is looked at."""
    given: dict[str, Any] = {}

    class Dag:
        def __init__(self, name: str, **settings: Any):
            given["dag"] = {"name": name, **settings}

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    modules = {
        "pendulum": {"datetime": lambda *day, tz: (*day, tz)},
        "airflow": {"DAG": Dag},
        "airflow.providers.google.cloud.operators.dataflow": {
            "DataflowStartFlexTemplateOperator": lambda **settings: given.update(operator=settings)
        },
    }
    for name, content in modules.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "nightly.json").write_text(json.dumps(nightly))
    program = tmp_path / "airflow_dag.py"
    program.write_text((ROOT / "examples" / "airflow_dag.py").read_text(encoding="utf-8"))
    runpy.run_path(str(program))
    assert (given["dag"]["name"], given["dag"]["schedule"]) == ("nightly", "30 1 * * *")
    operator = given["operator"]
    assert (operator["project_id"], operator["location"]) == ("a-project", "europe-west4")
    request = ParseDict(operator["body"], dataflow_v1beta3.LaunchFlexTemplateRequest.pb()())
    assert dict(request.launch_parameter.parameters)["existing"] == "update"
