"""The restricted Pod Security Standard as a check: https://kubernetes.io/docs/concepts/security/pod-security-standards/."""

from collections.abc import Iterator
from typing import Any, Final

VOLUMES: Final = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
SYSCTLS: Final = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
}  # fmt: skip


def violations(spec: dict[str, Any]) -> Iterator[str]:
    """What a pod does that the standard, baseline included, forbids. spec: of the pod."""
    pod = spec.get("securityContext", {})
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield name
    for volume in spec.get("volumes", ()):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield f"volume {volume['name']} is of kind {kind}"
    for sysctl in pod.get("sysctls", ()):
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    for container in [*spec.get("containers", ()), *spec.get("initContainers", ())]:
        own = container.get("securityContext", {})

        def said(field: str, own: dict[str, Any] = own) -> Any:
            return own.get(field, pod.get(field))

        name = container["name"]
        if own.get("privileged"):
            yield f"{name}: privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation is not false"
        if said("runAsNonRoot") is not True:
            yield f"{name}: runAsNonRoot is not true"
        if said("runAsUser") == 0:
            yield f"{name}: runAsUser is 0"
        if (said("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f"{name}: no seccompProfile"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", ()):
            yield f"{name}: capabilities are not all dropped"
        if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
            yield f"{name}: capabilities are added"
        if own.get("procMount", "Default") != "Default":
            yield f"{name}: procMount"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{name}: hostPort"
