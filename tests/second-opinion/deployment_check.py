"""Reads the YAML of deploy/ as its readers do: every field must be one that they know, and what names something must name
something that is there. Prints one line for each file; the exit status is 1 if something is wrong.

    deployment_check.py FOLDER
"""

import sys
from pathlib import Path

import yaml

# The fields that the manifests may use, from the reference of the Kubernetes API (v1, apps/v1, networking.k8s.io/v1,
# policy/v1) and the Compose specification. {} is a leaf or a map with free keys, [X] a list of X.
LEAF = {}
META = {"name": LEAF, "labels": LEAF, "annotations": LEAF}
SELECTOR = {"matchLabels": LEAF}
PROBE = {"httpGet": {"path": LEAF, "port": LEAF}, "periodSeconds": LEAF, "failureThreshold": LEAF, "timeoutSeconds": LEAF}
CONTAINER = {
    "name": LEAF, "image": LEAF, "args": LEAF, "env": [{"name": LEAF, "value": LEAF}],
    "ports": [{"name": LEAF, "containerPort": LEAF}], "startupProbe": PROBE, "livenessProbe": PROBE,
    "readinessProbe": PROBE, "resources": {"requests": LEAF, "limits": LEAF},
    "securityContext": {"allowPrivilegeEscalation": LEAF, "readOnlyRootFilesystem": LEAF, "capabilities": {"drop": LEAF}},
    "volumeMounts": [{"name": LEAF, "mountPath": LEAF, "readOnly": LEAF}],
}
POD = {
    "metadata": META,
    "spec": {
        "automountServiceAccountToken": LEAF, "terminationGracePeriodSeconds": LEAF, "containers": [CONTAINER],
        "securityContext": {"runAsNonRoot": LEAF, "runAsUser": LEAF, "runAsGroup": LEAF, "fsGroup": LEAF,
                            "seccompProfile": {"type": LEAF}},
        "topologySpreadConstraints": [{"maxSkew": LEAF, "topologyKey": LEAF, "whenUnsatisfiable": LEAF,
                                       "labelSelector": SELECTOR}],
        "volumes": [{"name": LEAF, "configMap": {"name": LEAF}, "secret": {"secretName": LEAF, "defaultMode": LEAF}}],
    },
}
CLAIM = {"metadata": META, "spec": {"accessModes": LEAF, "resources": {"requests": LEAF}, "storageClassName": LEAF}}
BACKEND = {"service": {"name": LEAF, "port": {"name": LEAF, "number": LEAF}}}
KINDS = {
    ("v1", "ConfigMap"): {"data": LEAF},
    ("apps/v1", "StatefulSet"): {"spec": {"serviceName": LEAF, "replicas": LEAF, "selector": SELECTOR, "template": POD,
                                          "volumeClaimTemplates": [CLAIM]}},
    ("apps/v1", "Deployment"): {"spec": {"replicas": LEAF, "selector": SELECTOR, "template": POD, "strategy": {
        "type": LEAF, "rollingUpdate": {"maxUnavailable": LEAF, "maxSurge": LEAF}}}},
    ("v1", "Service"): {"spec": {"selector": LEAF, "type": LEAF,
                                 "ports": [{"name": LEAF, "port": LEAF, "targetPort": LEAF}]}},
    ("networking.k8s.io/v1", "Ingress"): {"spec": {
        "ingressClassName": LEAF, "tls": [{"hosts": LEAF, "secretName": LEAF}],
        "rules": [{"host": LEAF, "http": {"paths": [{"path": LEAF, "pathType": LEAF, "backend": BACKEND}]}}]}},
    ("policy/v1", "PodDisruptionBudget"): {"spec": {"minAvailable": LEAF, "selector": SELECTOR}},
}
SERVICE = {
    "build": {"context": LEAF, "dockerfile": LEAF}, "image": LEAF, "restart": LEAF, "stop_grace_period": LEAF,
    "env_file": LEAF, "environment": LEAF, "volumes": LEAF, "read_only": LEAF, "cap_drop": LEAF, "security_opt": LEAF,
    "mem_limit": LEAF, "pids_limit": LEAF, "depends_on": LEAF, "ports": LEAF,
}

wrong = []


def fields(value, known, where):
    if isinstance(known, list):
        if not isinstance(value, list):
            return wrong.append(f"{where} is no list")
        for index, item in enumerate(value):
            fields(item, known[0], f"{where}[{index}]")
    elif known:
        if not isinstance(value, dict):
            return wrong.append(f"{where} has no fields")
        for name, item in value.items():
            if name not in known:
                wrong.append(f"{where}.{name} is no field that is known")
            else:
                fields(item, known[name], f"{where}.{name}")


def there(found, name, where):
    if name not in found:
        wrong.append(f"{where} names {name}, which is not there: {sorted(found)}")


def workload(item, named, where):
    spec = item["spec"]
    pod = spec["template"]["spec"]
    if spec["selector"]["matchLabels"].items() - spec["template"]["metadata"]["labels"].items():
        wrong.append(f"{where} selects what it does not make")
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    for volume in pod["volumes"]:
        if "configMap" in volume:
            there(named["ConfigMap"], volume["configMap"]["name"], where)
    for container in pod["containers"]:
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            there(ports, container[probe]["httpGet"]["port"], f"{where} {probe}")
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        for mount in mounts.values():
            there(volumes, mount, f"{where} volumeMounts")
        for variable in container["env"]:
            folder = variable["value"].rsplit("/", 1)[0]
            there(mounts, folder, f"{where} {variable['name']}")
        security = container["securityContext"]
        if not security["readOnlyRootFilesystem"] or security["allowPrivilegeEscalation"]:
            wrong.append(f"{where} may write where it need not")
    return {port for container in pod["containers"] for port in (p["name"] for p in container["ports"])}


def kubernetes(file):
    items = [item for item in yaml.safe_load_all(file.read_text()) if item]
    named, ports = {}, set()
    for item in items:
        named.setdefault(item["kind"], set()).add(item["metadata"]["name"])
    for item in items:
        where = f"{file.name} {item['kind']}"
        known = KINDS.get((item["apiVersion"], item["kind"]))
        if known is None:
            wrong.append(f"{where}: there is no {item['kind']} of {item['apiVersion']}")
            continue
        fields(item, {"apiVersion": LEAF, "kind": LEAF, "metadata": META, **known}, where)
        if item["kind"] in ("StatefulSet", "Deployment"):
            ports |= workload(item, named, where)
    for item in items:
        if item["kind"] == "Service":
            for port in item["spec"]["ports"]:
                there(ports, port["targetPort"], f"{file.name} Service")
        if item["kind"] == "Ingress":
            for path in (path for rule in item["spec"]["rules"] for path in rule["http"]["paths"]):
                there(named["Service"], path["backend"]["service"]["name"], f"{file.name} Ingress")
    return len(items)


def compose(file):
    document = yaml.safe_load(file.read_text())
    fields(document, {"name": LEAF, "services": LEAF, "volumes": LEAF}, file.name)
    for name, service in document["services"].items():
        fields(service, SERVICE, f"{file.name} {name}")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if not source.startswith((".", "/")):
                there(document["volumes"], source, f"{file.name} {name}")
        for other in service.get("depends_on", {}):
            there(document["services"], other, f"{file.name} {name}")
    return len(document["services"])


deploy = Path(sys.argv[1])
for file in sorted((deploy / "kubernetes").glob("*.yaml")):
    print(f"{file.name}: {kubernetes(file)} objects")
print(f"compose.yaml: {compose(deploy / 'compose.yaml')} services")
print("\n".join(wrong))
sys.exit(1 if wrong else 0)
