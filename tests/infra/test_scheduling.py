"""What runs by the clock: units and CronJobs that are well formed and run commands that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

from tollbook.cli import build_app

SCHEDULING = Path(__file__).parents[2] / "infra" / "scheduling"
KUBERNETES_VERSION = "1.33"
UNITS = sorted(path.name for path in SCHEDULING.iterdir() if path.suffix in {".service", ".timer"})
SERVICES = [name for name in UNITS if name.endswith(".service")]


def unit(name: str) -> dict[str, list[str]]:
    """Return the settings of a unit, each with all its values, under `Section.Name`."""
    told: dict[str, list[str]] = {}
    section = ""
    for line in (SCHEDULING / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, value = line.split("=", 1)
            told.setdefault(f"{section}.{key}", []).append(value)
    return told


def cron_jobs() -> list[dict[str, Any]]:
    """Return the objects of kubernetes.yaml."""
    return list(yaml.safe_load_all((SCHEDULING / "kubernetes.yaml").read_text(encoding="utf-8")))


def container(job: dict[str, Any]) -> dict[str, Any]:
    """Return the container of a CronJob."""
    (only,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    told: dict[str, Any] = only
    return told


def commands() -> Iterator[list[str]]:
    """Yield every command of ours that something runs, in words."""
    for name in SERVICES:
        for line in unit(name)["Service.ExecStart"]:
            words = shlex.split(line.removeprefix("-"))
            if words[0] == "tollbook":
                yield words
    for job in cron_jobs():
        for line in container(job)["args"][0].splitlines():
            found = re.match(r"\s*(tollbook .*?)(?: \|\| .*)?$", line)
            if found:
                yield shlex.split(found[1])


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_each_command_is_one_and_takes_its_options(words: list[str]) -> None:
    """It is parsed as it stands, and not run."""
    command: Any = typer.main.get_command(build_app())
    rest = words[1:]
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    assert command.make_context(command.name, list(rest)).args == []


def test_timers_start_services_that_are_there_at_times_that_come() -> None:
    """Of the same name, and again after the machine was off."""
    for name in UNITS:
        told = unit(name)
        if name.endswith(".timer"):
            assert name.replace(".timer", ".service") in SERVICES
            assert told["Timer.Persistent"] == ["true"]
            assert told["Install.WantedBy"] == ["timers.target"]
            assert len(told["Timer.OnCalendar"]) == 1
        else:
            assert told["Service.Type"] == ["oneshot"]
            for notice in told.get("Unit.OnFailure", []):
                assert notice.replace("%n", "") in SERVICES


def test_exports_are_tried_again_and_what_is_missing_at_the_end_is_a_failure() -> None:
    """With systemd and on Kubernetes alike; asking what is late is not tried again."""
    exports, due = unit("tollbook-exports.service"), unit("tollbook-due.service")
    assert exports["Service.Restart"] == ["on-failure"]
    assert exports["Unit.StartLimitBurst"] == ["5"]
    assert exports["Service.ExecStart"][-1] == "tollbook export status --period last --due 0"
    assert "Service.Restart" not in due
    assert {name for name in SERVICES if "Unit.OnFailure" in unit(name)} == {
        "tollbook-exports.service",
        "tollbook-due.service",
    }
    retries = {job["metadata"]["name"]: job["spec"]["jobTemplate"]["spec"]["backoffLimit"] for job in cron_jobs()}
    assert retries == {"tollbook-exports": 5, "tollbook-due": 0}
    script = container(cron_jobs()[0])["args"][0]
    assert script.splitlines()[-1] == "tollbook export status --period last --due 0"


@pytest.mark.parametrize("job", cron_jobs(), ids=lambda job: str(job["metadata"]["name"]))
def test_cron_jobs_are_valid_and_need_no_rights(job: dict[str, Any]) -> None:
    """By the schema of Kubernetes; they run as nobody's user, on a file system that nothing can change."""
    kubernetes_validate.validate(job, KUBERNETES_VERSION, strict=True)
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    security = container(job)["securityContext"]
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    assert security["capabilities"] == {"drop": ["ALL"]}


def test_cron_jobs_run_the_image_and_the_home_of_the_deployment() -> None:
    """One image and one volume, beside the meter's."""
    meter = (SCHEDULING.parent / "flink" / "kubernetes" / "meter.yaml").read_text(encoding="utf-8")
    for job in cron_jobs():
        assert f"image: {container(job)['image']}" in meter
        volumes = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
        (claim,) = [each["persistentVolumeClaim"]["claimName"] for each in volumes if "persistentVolumeClaim" in each]
        assert f"claimName: {claim}" in meter


def test_the_readme_names_each_file() -> None:
    """Nobody finds a unit that nothing points to."""
    readme = (SCHEDULING / "README.md").read_text(encoding="utf-8")
    for path in SCHEDULING.iterdir():
        assert path.name == "README.md" or f"({path.name})" in readme
