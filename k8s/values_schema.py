#!/usr/bin/python3
"""Writes the chart's values.schema.json.

  k8s/values_schema.py           writes k8s/slipstream/values.schema.json
  k8s/values_schema.py --check   exit 1 when that file is stale

The part below `config` is made from protos/slipstream/config/v1/config.proto, so each setting's name, type,
range and comment stand in one place; the rest is described here. No object accepts a key that is not named
(labels and annotations: a key that is no Kubernetes name). Needs protoc and Debian's python3-protobuf.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "k8s/slipstream/values.schema.json"
CONFIG_PROTO = "slipstream/config/v1/config.proto"

# Settings that the chart itself sets, because they follow from ports, mounts and object names.
SET_BY_CHART = re.compile(
    r"^(standalone\b|(?!endpoints\.).*_address$|auth\.hs256_secret_file$|auth\.jwks_files$"
    r"|auth\.service_token_file$|task_queue\.artifact\.directory$|audit\.file$)")

# Service: has an HTTP port of its own, kind of store URL that it takes.
SERVICES = {
    "cache": {"store": "redisUrl"},
    "task_queue": {"store": "redisUrl", "artifacts": True},
    "notification": {"store": "redisUrl"},
    "database_optimizer": {"store": "postgresUrl"},
    "monitoring": {},
    "edge": {"http": True},
    "worker": {},
}

DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
OPTIONAL_DNS_NAME = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$"
QUALIFIED_NAME = (r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?"
                  r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
SECRET_KEY = r"^[-._a-zA-Z0-9]{1,253}$"
BYTES = r"^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$"
CPU = r"^([1-9][0-9]*m|[0-9]+(\.[0-9]{1,3})?)$"


def obj(properties, required=(), description=None):
    schema = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        schema["required"] = list(required)
    if description:
        schema["description"] = description
    return schema


def text(pattern=None, **more):
    return {"type": "string", **({"pattern": pattern} if pattern else {}), **more}


def integer(low, high):
    return {"type": "integer", "minimum": low, "maximum": high}


def enum(*values):
    return {"type": "string", "enum": list(values)}


def array(items, **more):
    return {"type": "array", "items": items, **more}


def names(value_schema):
    """A map whose keys are Kubernetes names: labels, annotations, node selectors."""
    return {"type": "object", "additionalProperties": False,
            "patternProperties": {QUALIFIED_NAME: value_schema}}


BOOL = {"type": "boolean"}
LABELS = names(text(LABEL_VALUE))
ANNOTATIONS = names(text(maxLength=262144))
PORT = integer(1024, 65535)
CPU_QUANTITY = {"anyOf": [text(CPU), {"type": "number", "exclusiveMinimum": 0, "maximum": 256}]}
MEMORY_QUANTITY = text(BYTES)
SECRET_REFERENCE = obj({"existingSecret": text(OPTIONAL_DNS_NAME, maxLength=253), "key": text(SECRET_KEY)})
SECRET_REFERENCE["description"] = "A Secret of the release's namespace and the key in it; empty name: not used."


def quantities():
    return obj({"cpu": CPU_QUANTITY, "memory": MEMORY_QUANTITY, "ephemeral-storage": MEMORY_QUANTITY},
               ["cpu", "memory"])


def probe():
    return obj({"periodSeconds": integer(1, 300), "timeoutSeconds": integer(1, 60),
                "failureThreshold": integer(1, 1000)}, ["periodSeconds", "timeoutSeconds", "failureThreshold"])


def workload():
    """What `defaults` sets for every service, and each service may set for itself."""
    return {
        "image": obj({"registry": text(r"^([a-z0-9.-]+(:[0-9]+)?)?$"),
                      "repository": text(r"^[a-z0-9]+([._/-][a-z0-9]+)*$"),
                      "tag": text(r"^([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$"),
                      "digest": text(r"^(sha256:[0-9a-f]{64})?$"),
                      "pullPolicy": enum("Always", "IfNotPresent", "Never")}),
        "replicas": integer(0, 100),
        "resources": obj({"requests": quantities(), "limits": quantities()}, ["requests", "limits"]),
        "autoscaling": obj({"enabled": BOOL, "minReplicas": integer(1, 100), "maxReplicas": integer(1, 100),
                            "targetCPUUtilizationPercentage": integer(1, 100),
                            "scaleDownStabilizationSeconds": integer(0, 3600)}),
        "podDisruptionBudget": obj({"enabled": BOOL, "maxUnavailable": {
            "anyOf": [integer(0, 100), text(r"^(100|[1-9]?[0-9])%$")]}}),
        "serviceAccount": obj({"create": BOOL, "name": text(OPTIONAL_DNS_NAME), "annotations": ANNOTATIONS}),
        "probes": obj({"startup": probe(), "liveness": probe(), "readiness": probe()}),
        "topologySpread": obj({"enabled": BOOL, "maxSkew": integer(1, 100),
                               "topologyKeys": array(text(QUALIFIED_NAME), minItems=1, maxItems=8),
                               "whenUnsatisfiable": enum("ScheduleAnyway", "DoNotSchedule")}),
        "podSecurityContext": obj({"runAsUser": integer(1, 2147483647), "runAsGroup": integer(1, 2147483647),
                                   "fsGroup": integer(1, 2147483647)}),
        "tmpSizeLimit": MEMORY_QUANTITY,
        "preStopSleepSeconds": integer(0, 300),
        "terminationMarginSeconds": integer(1, 600),
        "scrapeAnnotations": BOOL,
        "podAnnotations": ANNOTATIONS,
        "podLabels": LABELS,
        "nodeSelector": LABELS,
        "tolerations": array(obj({"key": text(QUALIFIED_NAME), "operator": enum("Exists", "Equal"),
                                  "value": text(LABEL_VALUE),
                                  "effect": enum("NoSchedule", "PreferNoSchedule", "NoExecute"),
                                  "tolerationSeconds": integer(0, 86400)}), maxItems=32),
        "priorityClassName": text(OPTIONAL_DNS_NAME),
    }


def edge_parts():
    host = text(r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
    return {
        "service": obj({"type": enum("ClusterIP", "NodePort", "LoadBalancer"), "port": integer(1, 65535),
                        "nodePort": {"anyOf": [integer(0, 0), integer(30000, 32767)]},
                        "annotations": ANNOTATIONS,
                        "loadBalancerSourceRanges": array(text(r"^[0-9a-fA-F.:]+/[0-9]{1,3}$"), maxItems=256)},
                       ["type", "port"]),
        "ingress": obj({
            "enabled": BOOL, "className": text(OPTIONAL_DNS_NAME), "annotations": ANNOTATIONS,
            "hosts": array(obj({"host": host, "paths": array(obj(
                {"path": text("^/"), "pathType": enum("Prefix", "Exact", "ImplementationSpecific")},
                ["path", "pathType"]), minItems=1, maxItems=64)}, ["host", "paths"]), maxItems=64),
            "tls": array(obj({"secretName": text(DNS_NAME), "hosts": array(host, minItems=1, maxItems=64)},
                             ["secretName", "hosts"]), maxItems=64)}),
    }


def artifacts():
    return obj({"sizeLimit": MEMORY_QUANTITY, "persistence": obj({
        "enabled": BOOL, "existingClaim": text(OPTIONAL_DNS_NAME),
        "storageClassName": text(OPTIONAL_DNS_NAME), "size": MEMORY_QUANTITY,
        "accessMode": enum("ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"),
        "annotations": ANNOTATIONS})})


def service(parts):
    ports = {"grpc": PORT, "metrics": PORT, **({"http": PORT} if parts.get("http") else {})}
    properties = {"enabled": BOOL, "ports": obj(ports, ports), **workload()}
    if "store" in parts:
        properties[parts["store"]] = SECRET_REFERENCE
    if parts.get("artifacts"):
        properties["artifacts"] = artifacts()
    if parts.get("http"):
        properties.update(edge_parts())
    return obj(properties, ["enabled", "ports", "replicas", "resources"])


# --- the configuration, from its proto

def load_config_descriptor():
    """The descriptor of Config with its options, and the comment of each field by full name."""
    with tempfile.TemporaryDirectory() as folder:
        descriptor_set = pathlib.Path(folder) / "config.binpb"
        subprocess.run(["protoc", f"-I{ROOT / 'protos'}", f"--python_out={folder}", "--include_source_info",
                        f"--descriptor_set_out={descriptor_set}", CONFIG_PROTO,
                        "slipstream/config/v1/options.proto"], check=True)
        sys.path.insert(0, folder)
        from slipstream.config.v1 import config_pb2, options_pb2  # made just now
        from google.protobuf import descriptor_pb2
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set.read_bytes())
        file = next(f for f in files.file if f.name == CONFIG_PROTO)
        comments = {}
        for location in file.source_code_info.location:
            path = list(location.path)
            if len(path) == 4 and path[0] == 4 and path[2] == 2:
                message = file.message_type[path[1]]
                name = f"{file.package}.{message.name}.{message.field[path[3]].name}"
                comments[name] = " ".join(location.leading_comments.split())
        return config_pb2.Config.DESCRIPTOR, options_pb2.setting, comments


def field_schema(field, path, context):
    setting, comments = context
    options = field.GetOptions().Extensions[setting]
    low = int(options.min) if options.HasField("min") else None
    high = int(options.max) if options.HasField("max") else None
    repeated = field.label == field.LABEL_REPEATED

    def bounded(schema, low_name, high_name):
        if low is not None:
            schema[low_name] = low
        if high is not None:
            schema[high_name] = high
        return schema

    if field.message_type is not None:
        item = message_schema(field.message_type, path, context)
    elif field.enum_type is not None:
        item = enum(*[v.name for v in field.enum_type.values if v.number != 0])
    elif field.cpp_type == field.CPPTYPE_BOOL:
        item = dict(BOOL)
    elif field.cpp_type == field.CPPTYPE_STRING:
        item = {"type": "string"} if repeated else bounded({"type": "string"}, "minLength", "maxLength")
    else:
        item = {"type": "integer"} if repeated else bounded({"type": "integer"}, "minimum", "maximum")
    schema = bounded(array(item), "minItems", "maxItems") if repeated else item
    schema["description"] = comments.get(field.full_name, "")
    return schema


def message_schema(message, path, context):
    properties = {}
    for field in message.fields:
        name = f"{path}.{field.name}" if path else field.name
        secret = field.GetOptions().Extensions[context[0]].secret
        if secret or SET_BY_CHART.search(name):
            continue
        schema = field_schema(field, name, context)
        if schema.get("type") == "object" and not schema["properties"]:
            continue
        properties[field.name] = schema
    return obj(properties)


def build():
    descriptor, setting, comments = load_config_descriptor()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Made by k8s/values_schema.py; do not edit.",
        "title": "Values of the chart slipstream",
        **obj({
            "global": {"type": "object", "additionalProperties": False,
                       "description": "Helm's own; the chart reads no global value."},
            "nameOverride": text(r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", maxLength=40),
            "fullnameOverride": text(r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", maxLength=40),
            "commonLabels": LABELS,
            "imagePullSecrets": array(text(DNS_NAME), maxItems=16),
            "auth": obj({"hs256": SECRET_REFERENCE, "jwks": SECRET_REFERENCE, "serviceToken": SECRET_REFERENCE},
                        ["hs256", "jwks", "serviceToken"]),
            "defaults": obj(workload()),
            "services": obj({name: service(parts) for name, parts in SERVICES.items()}, SERVICES),
            "config": message_schema(descriptor, "", (setting, comments)),
        }, ["auth", "defaults", "services", "config"]),
    }


def main():
    made = json.dumps(build(), indent=2) + "\n"
    if sys.argv[1:] == ["--check"]:
        if SCHEMA.is_file() and SCHEMA.read_text() == made:
            return 0
        print("k8s/slipstream/values.schema.json is stale: run k8s/values_schema.py", file=sys.stderr)
        return 1
    SCHEMA.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
