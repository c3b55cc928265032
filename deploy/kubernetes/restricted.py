"""Checks that every pod in rendered manifests meets the pod security standard "restricted", and the rules of this house.

Usage: restricted.py FILE...    Prints every violation and ends with 1, or prints what was checked and ends with 0.

The standard: https://kubernetes.io/docs/concepts/security/pod-security-standards/. It allows some values of sysctls,
SELinux and AppArmor settings; no pod here needs any, so each is a violation.
The house: nothing writes to the root file system, no pod carries credentials of the cluster or environment variables
that it was not given, and every container states what it needs and where it ends.
"""

import sys

import yaml

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SECCOMP = {"RuntimeDefault", "Localhost"}


def pod(resource):
    """The metadata and the spec of the pod that a resource makes, or None."""
    kind, spec = resource["kind"], resource.get("spec") or {}
    if kind == "Pod":
        return resource.get("metadata") or {}, spec
    if kind == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    template = resource["template"] if kind == "PodTemplate" else spec.get("template")
    if not isinstance(template, dict) or "spec" not in template:
        return None
    return template.get("metadata") or {}, template["spec"]


def containers(spec):
    """Every container of a pod, whatever it is for."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or []


def context_violations(context):
    """What the standard forbids in the security context of a pod and of a container alike."""
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "hostProcess is set"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot is false"
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if (context.get("seccompProfile") or {"type": "RuntimeDefault"}).get("type") not in SECCOMP:
        yield "seccompProfile is neither RuntimeDefault nor Localhost"
    for field in ("appArmorProfile", "seLinuxOptions", "sysctls"):
        if context.get(field):
            yield f"{field} is set"


def container_violations(container, pod_context):
    """What the standard and the house forbid in one container."""
    context = container.get("securityContext") or {}
    yield from context_violations(context)
    if context.get("privileged"):
        yield "privileged is set"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if context.get("procMount", "Default") != "Default":
        yield "procMount is not Default"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or []):
        yield "capabilities does not drop ALL"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "capabilities adds more than NET_BIND_SERVICE"
    for field in ("runAsNonRoot", "seccompProfile"):
        if not context.get(field, pod_context.get(field)):
            yield f"{field} is not set"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "a hostPort is set"
    lifecycle = container.get("lifecycle") or {}
    hooks = [container.get(f"{probe}Probe") for probe in ("startup", "liveness", "readiness")]
    for hook in filter(None, [*hooks, lifecycle.get("postStart"), lifecycle.get("preStop")]):
        if any((hook.get(action) or {}).get("host") for action in ("httpGet", "tcpSocket")):
            yield "a probe or a lifecycle hook names a host"

    if context.get("readOnlyRootFilesystem") is not True:
        yield "readOnlyRootFilesystem is not true"
    resources = container.get("resources") or {}
    for field in ("requests", "limits"):
        if not {"cpu", "memory"} <= set(resources.get(field) or {}):
            yield f"resources.{field} does not name cpu and memory"


def pod_violations(metadata, spec):
    """What the standard and the house forbid in one pod."""
    context = spec.get("securityContext") or {}
    yield from context_violations(context)
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is set"
    for volume in spec.get("volumes") or []:
        kinds = set(volume) - {"name"}
        if not kinds or kinds - VOLUMES:
            yield f"volume {volume['name']} is of a forbidden type"
    if any("apparmor" in annotation for annotation in metadata.get("annotations") or {}):
        yield "an AppArmor annotation is set"

    for field in ("automountServiceAccountToken", "enableServiceLinks"):
        if spec.get(field) is not False:
            yield f"{field} is not false"

    for container in containers(spec):
        for violation in container_violations(container, context):
            yield f"container {container['name']}: {violation}"


def documents(paths):
    """Every resource in the files."""
    for path in paths:
        with open(path, encoding="utf-8") as file:
            yield from filter(None, yaml.safe_load_all(file))


def main(paths):
    pods = violations = members = 0
    for resource in documents(paths):
        if (found := pod(resource)) is None:
            continue
        pods += 1
        members += len(list(containers(found[1])))
        for violation in pod_violations(*found):
            violations += 1
            print(f"{resource['kind']}/{resource['metadata']['name']}: {violation}", file=sys.stderr)
    if pods == 0:
        print("no pod was found: there is nothing that could be restricted", file=sys.stderr)
        return 1
    if violations == 0:
        print(f"{pods} pod specs with {members} containers are restricted")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
