"""What is deployed in containers is what runs on one machine: versions, settings, names, addresses."""

from __future__ import annotations

import re
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import typer
import yaml

from tollbook.cli import build_app
from tollbook.connection.security import PREFIX
from tollbook.flink.configuration import Ports, flink_configuration, jvm_options
from tollbook.flink.jars import FLINK_VERSION
from tollbook.services import jars
from tollbook.settings import Settings

ROOT = Path(__file__).parents[2]
FLINK = ROOT / "infra" / "flink"
KUBERNETES = FLINK / "kubernetes"
KUBERNETES_VERSION = "1.33"
NOT_KUBERNETES = {"Kustomization", "FlinkDeployment"}
SHARED_SETTINGS = {
    "classloader.resolve-order",
    "execution.checkpointing.externalized-checkpoint-retention",
    "execution.checkpointing.mode",
    "execution.checkpointing.timeout",
    "restart-strategy.exponential-delay.initial-backoff",
    "restart-strategy.exponential-delay.max-backoff",
    "restart-strategy.exponential-delay.reset-backoff-threshold",
    "restart-strategy.type",
}
"""What decides whether a job survives; the rest is size and place."""
JOB_SETTINGS = SHARED_SETTINGS | {"execution.checkpointing.interval"}


def documents(name: str) -> list[dict[str, Any]]:
    """Return the documents of a manifest."""
    return list(yaml.safe_load_all((KUBERNETES / name).read_text(encoding="utf-8")))


def everything() -> list[dict[str, Any]]:
    """Return every object that is applied."""
    return [each for name in documents("kustomization.yaml")[0]["resources"] for each in documents(name)]


def of_kind(kind: str, name: str) -> dict[str, Any]:
    """Return the object of a kind and a name."""
    return next(each for each in everything() if (each["kind"], each["metadata"]["name"]) == (kind, name))


def compose() -> dict[str, Any]:
    """Return the services of compose.yaml by name, with its configurations."""
    loaded: dict[str, Any] = yaml.safe_load((FLINK / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def containers() -> dict[str, dict[str, Any]]:
    """Return every container of the manifests that runs our image, by name."""
    meter = of_kind("Deployment", "tollbook-meter")["spec"]["template"]["spec"]
    pool = of_kind("FlinkDeployment", "tollbook-flink")["spec"]["taskManager"]["podTemplate"]["spec"]
    return {each["name"]: each for each in meter["initContainers"] + meter["containers"] + pool["containers"]}


@pytest.fixture(scope="module")
def operator_schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The schema of each kind of the Flink Kubernetes operator, from the jar that it is published in."""
    line = (KUBERNETES / "crds.txt").read_text(encoding="utf-8").splitlines()[-1]
    jar = jars.Jar(*line.split())
    folder = tmp_path_factory.mktemp("operator")
    jars.place(folder, lambda _: None, jars=(jar,), of="the operator's API")
    schemas = {}
    with zipfile.ZipFile(folder / jar.file_name) as archive:
        for name in archive.namelist():
            if name.endswith("-v1.yml"):
                definition = yaml.safe_load(archive.read(name))
                schemas[definition["spec"]["names"]["kind"]] = definition["spec"]["versions"][0]["schema"]
    return schemas


def strict(schema: Any) -> Any:
    """Return a schema in which an object has no fields but those it names: the API server would drop them silently."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    return made


def test_every_object_of_kubernetes_is_one() -> None:
    """A field that is misspelt guards nothing; strict validation knows every field."""
    checked = [each for each in everything() if each["kind"] not in NOT_KUBERNETES]
    for each in checked:
        kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)

    assert len(checked) >= 10


def test_the_cluster_is_one_to_the_operator(operator_schemas: dict[str, Any]) -> None:
    """The operator's own definition says what a FlinkDeployment may hold."""
    cluster = of_kind("FlinkDeployment", "tollbook-flink")
    schema = strict(operator_schemas["FlinkDeployment"]["openAPIV3Schema"]["properties"]["spec"])

    jsonschema.validate(cluster["spec"], schema)
    with pytest.raises(jsonschema.ValidationError, match="flinkVersoin"):
        jsonschema.validate(cluster["spec"] | {"flinkVersoin": "v1_19"}, schema)


def test_every_manifest_is_applied() -> None:
    """A file that the kustomization does not name would be read and believed, and never applied."""
    others = {"kustomization.yaml", "image-fields.yaml"}

    assert (
        set(documents("kustomization.yaml")[0]["resources"])
        == {path.name for path in KUBERNETES.glob("*.yaml")} - others
    )


def test_versions_are_those_that_the_project_pins() -> None:
    """A cluster of another Flink refuses the job's classes, and workers of another wheel its steps."""
    dockerfile = (FLINK / "image" / "Dockerfile").read_text(encoding="utf-8")
    ours = metadata.version("tollbook")
    python = re.findall(r"^FROM python:(3\.\d+)-slim-bookworm", dockerfile, re.MULTILINE)
    tags = documents("kustomization.yaml")[0]["images"]
    images = {each["image"] for each in containers().values()}
    images |= {of_kind("FlinkDeployment", "tollbook-flink")["spec"]["image"]}
    images |= {each["image"] for each in compose()["services"].values()}

    assert re.findall(r"^FROM flink:([\d.]+)-scala_2\.12-java17", dockerfile, re.MULTILINE) == [FLINK_VERSION]
    assert of_kind("FlinkDeployment", "tollbook-flink")["spec"]["flinkVersion"] == "v" + "_".join(
        FLINK_VERSION.split(".")[:2]
    )
    assert len(set(python)) == 1
    assert python[0] in {"3.11", "3.12", "3.13"}
    assert images == {f"tollbook:{ours}", f"tollbook-flink:{ours}"}
    assert {(each["name"], each["newTag"]) for each in tags} == {("tollbook", ours), ("tollbook-flink", ours)}
    assert f"uv=={_uv_version()}" in dockerfile


def test_workers_have_the_beam_of_who_submits() -> None:
    """Steps are pickled by one Beam and read by the other: one image has both, and its Beam is the lock's."""
    names = ("meter", "worker-pool", "job-server")
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]

    assert len({containers()[name]["image"] for name in names}) == 1
    assert [each["version"] for each in lock if each["name"] == "apache-beam"] == [metadata.version("apache-beam")]


def test_settings_that_a_job_survives_by_are_those_of_one_machine() -> None:
    """Kills were tried with these, so no other cluster has others."""
    ports = Ports(rest=8081, rpc=6123, zookeeper=2181, job=8099, artifact=8098, worker_pool=50000)
    tried = yaml.safe_load(flink_configuration(Path("/home"), ports, slots=1, checkpoint_milliseconds=2_000))
    on_kubernetes = of_kind("FlinkDeployment", "tollbook-flink")["spec"]["flinkConfiguration"]
    job = yaml.safe_load(of_kind("ConfigMap", "tollbook-flink-job")["data"]["config.yaml"])
    in_compose = yaml.safe_load(compose()["services"]["job-manager"]["environment"]["FLINK_PROPERTIES"])
    job_in_compose = yaml.safe_load(compose()["configs"]["flink-job"]["content"])

    for settings in (on_kubernetes, in_compose):
        assert {name: settings[name] for name in SHARED_SETTINGS} == {name: tried[name] for name in SHARED_SETTINGS}
        assert str(settings["state.backend.type"]) == tried["state.backend.type"]
    assert job == {name: on_kubernetes[name] for name in JOB_SETTINGS}
    assert job_in_compose == {name: in_compose[name] for name in JOB_SETTINGS}
    assert all(isinstance(value, str) for value in on_kubernetes.values()), "the operator takes text only"
    assert {"high-availability.type", "high-availability.storageDir"} < on_kubernetes.keys()


def test_the_job_server_starts_as_on_one_machine() -> None:
    """What Java must open to Flink is found out the hard way, and once."""
    lines = (FLINK / "image" / "job_server.args").read_text(encoding="utf-8").splitlines()
    arguments = [line for line in lines if not line.startswith("#")]
    opened = [each for each in jvm_options(class_path="", log="", heap_mib=1) if each.startswith("--add-opens")]

    assert [each for each in arguments if each.startswith("--add-opens")] == opened
    assert arguments[arguments.index("--job-host") + 1] == "127.0.0.1"
    assert _port_of(_option("meter", "--flink-job-server")) == int(arguments[arguments.index("--job-port") + 1])
    mounted = {each["name"]: each["mountPath"] for each in containers()["job-server"]["volumeMounts"]}
    assert mounted["flink-job"] == arguments[arguments.index("--flink-conf-dir") + 1]


def test_addresses_lead_to_each_other() -> None:
    """A port that one changes and the other does not is a job that waits for ever."""
    cluster = of_kind("FlinkDeployment", "tollbook-flink")["metadata"]["name"]
    server, pool = containers()["job-server"], containers()["worker-pool"]
    rest = (
        f"{cluster}-rest:8081"  # Source: the operator's documentation: the service is the deployment's name and -rest.
    )
    policies = {each["metadata"]["name"]: each["spec"] for each in everything() if each["kind"] == "NetworkPolicy"}

    assert _option("meter", "--flink-master") == rest
    assert server["command"][-2:] == ["--flink-master", rest]
    assert _option("meter", "--flink-workers") == f"127.0.0.1:{pool['command'][-1]}"
    assert policies["tollbook-flink"]["ingress"][1]["ports"] == [{"protocol": "TCP", "port": 8081}]
    assert policies["tollbook-meter"]["ingress"][0]["ports"][0]["port"] == _port_of(
        _option("meter", "--metrics-address")
    )
    budgets = [each["spec"] for each in everything() if each["kind"] == "PodDisruptionBudget"]
    assert {each["selector"]["matchLabels"]["app"] for each in budgets} == {cluster}


@pytest.mark.parametrize("where", ["kubernetes", "compose"])
def test_the_meter_knows_every_option(where: str) -> None:
    """A command line with an option of yesterday is a pod that restarts for ever."""
    told = containers()["meter"]["args"] if where == "kubernetes" else compose()["services"]["meter"]["command"]
    command = typer.main.get_command(build_app()).commands["meter"]  # type: ignore[attr-defined]
    known = {name for option in command.params for name in option.opts}

    assert {each for each in told if each.startswith("--")} <= known
    assert told[told.index("--runner") + 1] == "flink"


def test_variables_are_those_that_settings_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A misspelt variable is no error anywhere: the meter would look for a broker of its own."""
    told = of_kind("ConfigMap", "tollbook-environment")["data"]
    source = (ROOT / "pipelines" / "tollbook" / "settings.py").read_text(encoding="utf-8")
    for name, value in told.items():
        known = name.removeprefix(PREFIX).removesuffix("_FILE") if name.startswith(PREFIX) else name
        assert f'{known}"' in source, name
        if value.startswith("/run/secrets/"):
            file = tmp_path / Path(value).name
            file.write_text("secret", encoding="utf-8")
            value = str(file)
        monkeypatch.setenv(name, value)

    settings = Settings.load()

    assert settings.home == Path("/var/lib/tollbook")
    assert settings.kafka_security.sasl_password is not None
    assert settings.bootstrap_servers == told["TOLLBOOK_BOOTSTRAP_SERVERS"]


def test_the_password_is_a_file_of_a_secret() -> None:
    """What is in an environment is in crash reports and process lists; what is in a manifest is in version control."""
    secrets = [each for each in everything() if each["kind"] == "Secret"]
    told = of_kind("ConfigMap", "tollbook-environment")["data"]
    files = [value for name, value in told.items() if name.endswith(("_FILE", "CAFILE"))]

    assert secrets == []
    assert not [name for name in told if "PASSWORD" in name and not name.endswith("_FILE")]
    for name in ("meter", "worker-pool"):
        mounted = {each["name"]: each["mountPath"] for each in containers()[name]["volumeMounts"]}
        assert files
        assert all(Path(file).parent == Path(mounted["kafka"]) for file in files)
        assert mounted["home"] == told["TOLLBOOK_HOME"]


def test_compose_is_on_the_network_of_kafka_and_publishes_nothing() -> None:
    """Flink and Beam's job server run what they are sent and ask nobody who they are."""
    services = compose()["services"]
    kafka = yaml.safe_load((ROOT / "infra" / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    meter = services["meter"]["environment"]["TOLLBOOK_BOOTSTRAP_SERVERS"]

    networks = {each.get("network_mode") for name, each in services.items() if name != "home"}
    assert networks == {f"container:{kafka['name']}-kafka-1"}
    assert f"PLAINTEXT://{meter}" == kafka["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert not any("ports" in each for each in services.values())


@pytest.mark.parametrize("where", ["kubernetes", "compose"])
def test_the_meter_has_the_slots_that_it_asks_for(where: str) -> None:
    """It looks before it submits, and refuses a cluster that is too small."""
    if where == "kubernetes":
        cluster = of_kind("FlinkDeployment", "tollbook-flink")["spec"]
        slots = cluster["taskManager"]["replicas"] * int(cluster["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
        assert cluster["mode"] == "standalone", "a native cluster has no slots before a job asks for them"
        asked = int(_option("meter", "--parallelism"))
    else:
        services = compose()["services"]
        slots = sum(each.get("command") == "taskmanager" for each in services.values())
        command = services["meter"]["command"]
        asked = int(command[command.index("--parallelism") + 1])

    assert asked == slots


def test_the_runbook_names_what_is_deployed() -> None:
    """Commands of a runbook are typed at night."""
    runbook = (ROOT / "infra" / "runbooks" / "flink.md").read_text(encoding="utf-8")
    names = {each["metadata"]["name"] for each in everything()} | {"tollbook-kafka", "tollbook-flink-rest"}
    told = set(re.findall(r"(?:deployment|flinkdeployment|secret|service|pvc|configmap)/([a-z-]+)", runbook))

    assert told
    assert told <= names


def _option(container: str, name: str) -> str:
    arguments: list[str] = containers()[container]["args"]
    return arguments[arguments.index(name) + 1]


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def _uv_version() -> str:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^UV_VERSION := (\S+)$", makefile, re.MULTILINE)
    assert found is not None
    return found[1]
