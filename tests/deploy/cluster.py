"""What kustomize makes of deploy/k8s, and how to find one's way in it."""

import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml

from scripts.setup import ROOT

K8S: Final = ROOT / "deploy" / "k8s"

Object = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """What runs pods. spec: of the pods."""

    object: Object

    @property
    def kind(self) -> str:
        return str(self.object["kind"])

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def template(self) -> Object:
        return dict(self.object["spec"]["template"])

    @property
    def spec(self) -> Object:
        return dict(self.template["spec"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.template["metadata"]["labels"])

    @property
    def container(self) -> Object:
        """The only one."""
        [container] = self.spec["containers"]
        return dict(container)

    @property
    def ours(self) -> bool:
        """Whether it runs an image of ours."""
        return str(self.container["image"]).startswith("microex-")


class Build:
    """The objects of one kustomization."""

    def __init__(self, name: str, objects: list[Object]) -> None:
        self.name, self.objects = name, objects

    def all(self, *kinds: str) -> list[Object]:
        return [o for o in self.objects if o["kind"] in kinds]

    def one(self, kind: str, name: str) -> Object:
        [found] = [o for o in self.all(kind) if o["metadata"]["name"] == name]
        return found

    @cached_property
    def workloads(self) -> list[Workload]:
        return [Workload(o) for o in self.all("Deployment", "StatefulSet", "Job")]

    @property
    def services(self) -> list[Workload]:
        """Those of ours that run for ever."""
        return [w for w in self.workloads if w.ours and w.kind != "Job"]

    @property
    def namespace(self) -> str:
        [namespace] = self.all("Namespace")
        return str(namespace["metadata"]["name"])

    def environment(self, container: Object) -> dict[str, str]:
        """Its variables as a pod would have them; what comes from elsewhere is made up."""
        values: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            if "configMapRef" in source:
                values |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
            else:
                assert source["secretRef"]["optional"], "a Secret that has to be there is named key by key"
        for entry in container.get("env", ()):
            field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
            assert field in (None, "metadata.labels['apps.kubernetes.io/pod-index']")
            values[entry["name"]] = entry["value"] if field is None else "0"
        return values

    def most(self, workload: Workload) -> int:
        """Pods of it at the most."""
        for scaled in self.all("ScaledObject"):
            if scaled["spec"]["scaleTargetRef"]["name"] == workload.name:
                return int(scaled["spec"]["maxReplicaCount"])
        return int(workload.object["spec"].get("replicas", 1))


def build(kustomize: Path, folder: Path, name: str) -> Build:
    """Run kustomize. Fails with its own words."""
    done = subprocess.run([kustomize, "build", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Build(name, [o for o in yaml.safe_load_all(done.stdout) if o])


def quantity(text: str | int) -> float:
    """A Kubernetes quantity as a number: cores, bytes, pieces."""
    units = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
    for unit, factor in units.items():
        if str(text).endswith(unit):
            return float(str(text)[: -len(unit)]) * factor
    return float(text)
