"""What kustomize builds is what Kubernetes 1.31 to 1.37 and the operators take, strictly: no unknown field passes."""

import json
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from scripts import tools
from tests.deploy.cluster import K8S, Build
from tests.deploy.conftest import there

VERSIONS = [f"1.{minor}" for minor in range(31, 38)]
CUSTOM = ("kafka.strimzi.io", "keda.sh", "monitoring.coreos.com", "cert-manager.io")


def group(thing: dict[str, Any]) -> str:
    return str(thing["apiVersion"]).rpartition("/")[0]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_it(cluster: Build, version: str) -> None:
    with warnings.catch_warnings(action="error"):  # that a kind is unknown is a warning only
        for thing in cluster.objects:
            if group(thing) not in CUSTOM:
                kubernetes_validate.validate(thing, version, strict=True)


DEFINED = {
    "keda": ["keda.sh_scaledobjects"],
    "monitoring": ["monitoring.coreos.com_podmonitors", "monitoring.coreos.com_prometheusrules"],
    "cert-manager": ["cert-manager.io_certificates", "cert-manager.io_issuers"],
}
"""Which files of an operator define what is used here; of Strimzi, all."""


@pytest.fixture(scope="session")
def definitions() -> dict[tuple[str, str], dict[str, Any]]:
    """(apiVersion, kind) to its schema, closed: fields that it does not name are errors."""
    files = sorted(there(tools.strimzi).glob("*.yaml"))
    for name, stems in DEFINED.items():
        files += [there(partial(tools.schemas, name)) / f"{stem}.yaml" for stem in stems]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in files:
        for thing in filter(None, yaml.load_all(path.read_text(), yaml.CSafeLoader)):
            for version in thing["spec"]["versions"]:
                name = f"{thing['spec']['group']}/{version['name']}", thing["spec"]["names"]["kind"]
                found[name] = closed(version["schema"]["openAPIV3Schema"])
    return found


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with every list of properties made complete, as the API server does under strict validation."""
    schema = {name: part for name, part in schema.items() if name != "description"}
    for name, part in schema.items():
        if name == "properties":
            schema[name] = {field: closed(inner) for field, inner in part.items()}
        elif name in ("items", "additionalProperties") and isinstance(part, dict):
            schema[name] = closed(part)
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    if schema.pop("x-kubernetes-int-or-string", False):
        return {"type": ["integer", "string"]}
    return schema


def test_the_operators_take_it(cluster: Build, definitions: dict[tuple[str, str], dict[str, Any]]) -> None:
    for thing in cluster.objects:
        if group(thing) in CUSTOM:
            schema = definitions[thing["apiVersion"], thing["kind"]]
            schema["properties"]["metadata"] = {"type": "object"}
            problems = [
                f"{thing['kind']} {thing['metadata']['name']}: {error.json_path}: {error.message}"
                for error in jsonschema.Draft202012Validator(schema).iter_errors(thing)
            ]
            assert not problems, "\n".join(problems)


def test_an_unknown_field_would_be_noticed(definitions: dict[tuple[str, str], dict[str, Any]]) -> None:
    topic = {"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopic", "metadata": {}, "spec": {"partition": 3}}
    schema = definitions["kafka.strimzi.io/v1", "KafkaTopic"]
    with pytest.raises(jsonschema.ValidationError, match="partition"):
        jsonschema.validate(topic, schema)


def test_what_is_applied_fits_into_an_annotation(cluster: Build) -> None:
    """`kubectl apply` keeps each object in one, and Kubernetes takes 256 KiB of them."""
    for thing in cluster.objects:
        assert len(json.dumps(thing)) < 240 * 1024, thing["metadata"]["name"]


def test_every_component_is_used() -> None:
    used = "".join(
        path.read_text() for path in [*K8S.rglob("kustomization.yaml"), Path(__file__).with_name("conftest.py")]
    )
    for component in (K8S / "components").iterdir():
        assert f"components/{component.name}" in used


def test_names_are_unique(cluster: Build) -> None:
    names = [
        (thing["kind"], thing["metadata"].get("namespace"), thing["metadata"]["name"]) for thing in cluster.objects
    ]
    assert len(names) == len(set(names))
    for thing in cluster.objects:
        if thing["kind"] != "Namespace":
            assert thing["metadata"]["namespace"] == cluster.namespace


def test_what_is_mounted_exists(cluster: Build) -> None:
    """ConfigMaps are in the build; Secrets by what is in it, or else the page for operators says how."""
    made = {o["metadata"]["name"] for o in cluster.all("KafkaUser")}
    made |= {o["spec"]["secretName"] for o in cluster.all("Certificate")}
    made |= {f"{o['metadata']['name']}-cluster-ca-cert" for o in cluster.all("Kafka")}
    page = (K8S.parent.parent / "docs" / "operations.md").read_text()
    for workload in cluster.workloads:
        spec = workload.spec
        names = [v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v]
        names += [e["configMapRef"]["name"] for e in workload.container.get("envFrom", ()) if "configMapRef" in e]
        for name in names:
            cluster.one("ConfigMap", name)
        secrets = [v["secret"]["secretName"] for v in spec["volumes"] if "secret" in v]
        secrets += [s["secret"]["name"] for v in spec["volumes"] for s in v.get("projected", {}).get("sources", ())]
        secrets += [e["secretRef"]["name"] for e in workload.container.get("envFrom", ()) if "secretRef" in e]
        for name in secrets:
            assert name in made or f"secret generic {name}" in page, f"nothing makes the Secret {name}"
        mounts = {m["name"] for m in workload.container["volumeMounts"]}
        assert mounts <= {v["name"] for v in spec["volumes"]} | {"data"}
