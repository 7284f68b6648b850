#!/usr/bin/python3
"""Tests of the Helm chart k8s/slipstream, with Helm 3 and Helm 4 from tools/setup.

  tests/charts/charts_test.py [--binary PATH ...]

--binary names a service binary, whose loader must accept every rendered configuration. Without one, protoc
checks that each is a slipstream.config.v1.Config. Prints `ok NAME` or `FAIL NAME: why` for each case, then
`N passed, N failed`; exit 1 when one failed. Under a minute on two cores.
"""
import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "k8s/slipstream"
HELM = {version: ROOT / f"tools/.cache/helm{version}/helm" for version in (3, 4)}
SERVICES = ["cache", "database_optimizer", "edge", "monitoring", "notification", "task_queue", "worker"]
MIN_OBJECTS_COUNT = 20
MIN_MISSPELT_PATHS_COUNT = 30
PARALLEL_HELM_COUNT = 3
# The one in C is ten times as fast.
YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Everything that the default leaves out.
FULL = {
    "commonLabels": {"example.com/team": "platform"},
    "imagePullSecrets": ["registry"],
    "auth": {"jwks": {"existingSecret": "issuer-keys"},
             "serviceToken": {"existingSecret": "service-token", "key": "token"}},
    "defaults": {"image": {"registry": "registry.example.com:5000", "tag": "1.2.3"},
                 "nodeSelector": {"kubernetes.io/os": "linux"}, "priorityClassName": "high",
                 "podAnnotations": {"example.com/note": "x"}, "podLabels": {"sidecar": "no"},
                 "tolerations": [{"key": "dedicated", "operator": "Equal", "value": "x",
                                  "effect": "NoSchedule"}]},
    "services": {
        "cache": {"redisUrl": {"existingSecret": "cache-redis"}, "autoscaling": {"enabled": True},
                  "image": {"digest": "sha256:" + "0" * 64}},
        "task_queue": {"redisUrl": {"existingSecret": "queue-redis", "key": "redis-url"}, "replicas": 3,
                       "artifacts": {"persistence": {"enabled": True, "accessMode": "ReadWriteMany"}}},
        "notification": {"redisUrl": {"existingSecret": "notify-redis"}, "replicas": 2},
        "database_optimizer": {"postgresUrl": {"existingSecret": "postgres"}},
        "edge": {"ingress": {"enabled": True, "className": "nginx",
                             "tls": [{"secretName": "t", "hosts": ["slipstream.example.com"]}]},
                 "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]}},
    },
    "config": {
        "logging": {"level": "WARN", "format": "TEXT"},
        "edge": {"cors_allowed_origins": ["https://app.example.com", "https://b.example.com"]},
        "auth": {"roles": [{"role": "user", "permissions": ["tasks.read", "tasks.submit"]},
                           {"role": "ops \"night\"", "permissions": ["*"]}]},
    },
}

results = []


def case(name):
    """Registers a test; it fails by raising AssertionError."""
    def register(function):
        cases.append((name, function))
        return function
    return register


cases = []


class Render:
    """What one helm call gave: exit code, objects, both outputs."""

    def __init__(self, version, values=None, arguments=()):
        command = [str(HELM[version]), "template", "r", str(CHART), "--namespace", "speed", *arguments]
        text = json.dumps(values) if values else ""
        if values:
            command += ["--values", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def objects(self):
        assert self.code == 0, self.err.strip()[:600]
        if not hasattr(self, "_objects"):
            self._objects = [o for o in yaml.load_all(self.out, YAML_LOADER) if o]
        return self._objects

    def of(self, kind, name=None):
        return [o for o in self.objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]


renders = {}


def rendered(version, which):
    key = (version, which)
    if key not in renders:
        renders[key] = Render(version, FULL if which == "full" else None)
    return renders[key]


def each(function):
    """Runs a check on the default and the full rendering with both versions."""
    for version in HELM:
        for which in ("default", "full"):
            try:
                function(rendered(version, which))
            except AssertionError as error:
                raise AssertionError(f"helm {version}, {which} values: {error}") from None


def refused(values, *expected, version=4):
    done = Render(version, values)
    assert done.code != 0, f"accepted {json.dumps(values)}"
    for text in expected:
        assert text in done.err, f"{json.dumps(values)}: no {text!r} in {done.err.strip()[:400]}"


def all_of(checks):
    """Runs callables a few at a time; raises the first failure."""
    with concurrent.futures.ThreadPoolExecutor(PARALLEL_HELM_COUNT) as pool:
        for future in [pool.submit(check) for check in checks]:
            future.result()


# --- the chart renders

@case("values.schema.json follows config.proto")
def _():
    done = subprocess.run([str(ROOT / "k8s/values_schema.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip()


for _version in HELM:
    @case(f"helm {_version} lint --strict")
    def _(version=_version):
        done = subprocess.run([str(HELM[version]), "lint", "--strict", str(CHART)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    @case(f"helm {_version} template renders at least {MIN_OBJECTS_COUNT} objects")
    def _(version=_version):
        count = len(rendered(version, "default").objects)
        assert count >= MIN_OBJECTS_COUNT, f"{count} objects"


@case("helm 3 and 4 render the same")
def _():
    for which in ("default", "full"):
        assert rendered(3, which).objects == rendered(4, which).objects, which


@case("each service has its Deployment, Service, ServiceAccount, ConfigMap and PodDisruptionBudget")
def _():
    def check(render):
        for service in SERVICES:
            for kind in ("Deployment", "Service", "ServiceAccount", "ConfigMap", "PodDisruptionBudget"):
                name = "r-slipstream-" + service.replace("_", "-")
                assert render.of(kind, name), f"no {kind} {name}"
    each(check)


@case("objects have unique names, the namespace and the labels")
def _():
    def check(render):
        seen = set()
        for o in render.objects:
            key = (o["kind"], o["metadata"]["name"])
            assert key not in seen, f"{key} twice"
            seen.add(key)
            assert len(key[1]) <= 63, key
            assert o["metadata"]["namespace"] == "speed", key
            assert o["metadata"]["labels"]["app.kubernetes.io/instance"] == "r", key
    each(check)


@case("selectors, ports, claims and references meet")
def _():
    def check(render):
        pods = {o["metadata"]["name"]: o["spec"]["template"] for o in render.of("Deployment")}
        for name, pod in pods.items():
            labels = pod["metadata"]["labels"]
            selector = render.of("Deployment", name)[0]["spec"]["selector"]["matchLabels"]
            assert selector.items() <= labels.items(), name
            assert render.of("ServiceAccount", pod["spec"]["serviceAccountName"]), name
            mounted = {m["name"] for m in pod["spec"]["containers"][0]["volumeMounts"]}
            assert mounted == {v["name"] for v in pod["spec"]["volumes"]}, name
            for volume in pod["spec"]["volumes"]:
                if "configMap" in volume:
                    assert render.of("ConfigMap", volume["configMap"]["name"]), name
                claim = volume.get("persistentVolumeClaim")
                assert claim is None or render.of("PersistentVolumeClaim", claim["claimName"]), name
        for o in render.of("Service") + render.of("PodDisruptionBudget"):
            selector = o["spec"]["selector"]
            selector = selector.get("matchLabels", selector)
            chosen = [p for p in pods.values() if selector.items() <= p["metadata"]["labels"].items()]
            assert len(chosen) == 1, f"{o['kind']} {o['metadata']['name']} chooses {len(chosen)} workloads"
            names = {p["name"] for p in chosen[0]["spec"]["containers"][0]["ports"]}
            assert {p["targetPort"] for p in o["spec"].get("ports", [])} <= names, o["metadata"]["name"]
        for o in render.of("HorizontalPodAutoscaler"):
            target = o["spec"]["scaleTargetRef"]["name"]
            deployment = render.of("Deployment", target)
            assert deployment and "replicas" not in deployment[0]["spec"], target
        for o in render.of("Ingress"):
            for rule in o["spec"]["rules"]:
                backend = rule["http"]["paths"][0]["backend"]["service"]
                service = render.of("Service", backend["name"])
                assert service and backend["port"]["name"] in {p["name"] for p in service[0]["spec"]["ports"]}
    each(check)


# --- pods

def containers(render):
    for o in render.of("Deployment"):
        pod = o["spec"]["template"]["spec"]
        for container in pod.get("initContainers", []) + pod["containers"]:
            yield o["metadata"]["name"], pod, container


@case("every container has the restricted security context")
def _():
    def check(render):
        count = 0
        for name, pod, container in containers(render):
            count += 1
            own, shared = container["securityContext"], pod["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["privileged"] is False, name
            assert own["readOnlyRootFilesystem"] is True and own["runAsNonRoot"] is True, name
            assert own["capabilities"] == {"drop": ["ALL"]}, name
            assert own["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert shared["runAsNonRoot"] is True and shared["runAsUser"] > 0, name
            assert pod["automountServiceAccountToken"] is False, name
            assert pod["enableServiceLinks"] is False, name
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
            assert not any("hostPath" in v for v in pod["volumes"]), name
            writable = {m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")}
            assert "/tmp" in writable and writable <= {"/tmp", "/var/lib/slipstream"}, name
        assert count == len(SERVICES), f"{count} containers"
    each(check)


@case("every container has gRPC startup, liveness and readiness probes on its port")
def _():
    def check(render):
        for name, _, container in containers(render):
            port = {p["name"]: p["containerPort"] for p in container["ports"]}["grpc"]
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                assert container[probe]["grpc"] == {"port": port}, f"{name} {probe}"
                assert container[probe]["timeoutSeconds"] >= 1, f"{name} {probe}"
    each(check)


@case("every container has requests and limits of CPU and memory")
def _():
    def check(render):
        for name, _, container in containers(render):
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= container["resources"][kind].keys(), f"{name} {kind}"
    each(check)


@case("pods have time for preStop and drain")
def _():
    for drain_ms, worker_ms, expected, expected_worker in ((15000, 10000, 30, 30), (60001, 90000, 76, 105)):
        render = Render(4, {"config": {"rpc": {"drain_grace_ms": drain_ms}, "worker": {"drain_ms": worker_ms}}})
        for name, pod, _ in containers(render):
            want = expected_worker if name.endswith("worker") else expected
            assert pod["terminationGracePeriodSeconds"] == want, f"{name} {pod['terminationGracePeriodSeconds']}"


@case("metrics annotations name the metrics port")
def _():
    def check(render):
        for o in render.of("Deployment"):
            pod = o["spec"]["template"]
            port = {p["name"]: p["containerPort"] for p in pod["spec"]["containers"][0]["ports"]}["metrics"]
            assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port), o["metadata"]["name"]
    each(check)


@case("a changed setting rolls the pods that read it and no others")
def _():
    def sums(render):
        return {o["metadata"]["name"]: o["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
                for o in render.of("Deployment")}
    before = sums(rendered(4, "default"))
    for setting, expected in (({"cache": {"ttl": {"api_response_s": 301}}}, {"r-slipstream-cache"}),
                              ({"logging": {"level": "DEBUG"}}, set(before))):
        after = sums(Render(4, {"config": setting}))
        changed = {name for name in before if before[name] != after[name]}
        assert changed == expected, f"{setting} changes {sorted(changed)}"


@case("a service sets again what defaults sets, false and 0 included")
def _():
    render = Render(4, {"defaults": {"podDisruptionBudget": {"enabled": True}, "preStopSleepSeconds": 9},
                        "services": {"cache": {"podDisruptionBudget": {"enabled": False},
                                               "preStopSleepSeconds": 0, "scrapeAnnotations": False},
                                     "worker": {"enabled": False}}})
    assert not render.of("PodDisruptionBudget", "r-slipstream-cache")
    assert render.of("PodDisruptionBudget", "r-slipstream-edge")
    assert not [o for o in render.objects if "worker" in o["metadata"]["name"]]
    pods = {name: (pod, container) for name, pod, container in containers(render)}
    assert "lifecycle" not in pods["r-slipstream-cache"][1]
    assert pods["r-slipstream-edge"][1]["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "9"]
    annotations = render.of("Deployment", "r-slipstream-cache")[0]["spec"]["template"]["metadata"]["annotations"]
    assert "prometheus.io/port" not in annotations


# --- configuration and secrets

def configurations(render):
    for o in render.of("ConfigMap"):
        for text in o["data"].values():
            yield o["metadata"]["name"], text


@case("configurations are slipstream.config.v1.Config")
def _():
    def check(render):
        for name, text in configurations(render):
            done = subprocess.run(["protoc", f"-I{ROOT / 'protos'}", "--encode=slipstream.config.v1.Config",
                                   "slipstream/config/v1/config.proto"], input=text.encode(), capture_output=True)
            assert done.returncode == 0, f"{name}: {done.stderr.decode()}"
    each(check)


@case("services listen on all addresses at their ports and find one another")
def _():
    def check(render):
        for name, text in configurations(render):
            assert "0.0.0.0:" in text and "127.0.0.1" not in text, name
            assert "reflection: false" in text, name
            deployment = render.of("Deployment", name)[0]["spec"]["template"]["spec"]["containers"][0]
            for port in deployment["ports"]:
                assert f"\"0.0.0.0:{port['containerPort']}\"" in text, f"{name} {port}"
            targets = re.findall(r'_address: "dns:///([^"]+)\.speed\.svc:(\d+)"', text)
            assert len(targets) == len(SERVICES), f"{name}: {targets}"
            for host, port in targets:
                ports = [p["port"] for p in render.of("Service", host)[0]["spec"]["ports"]]
                assert int(port) in ports, f"{name}: {host}:{port}"
    each(check)


@case("secrets are references: no value in a ConfigMap or a variable, no Secret made")
def _():
    def check(render):
        assert not render.of("Secret")
        for name, text in configurations(render):
            assert not re.search(r"redis_url|postgres_url|service_token:|rediss?://|postgres(ql)?://", text), name
        for name, _, container in containers(render):
            for variable in container.get("env", []):
                assert variable["name"] == "HOME" or set(variable["valueFrom"]) == {"secretKeyRef"}, name
    each(check)
    variables = {}
    for name, pod, container in containers(rendered(4, "full")):
        for variable in container["env"]:
            if "valueFrom" in variable:
                reference = variable["valueFrom"]["secretKeyRef"]
                variables[variable["name"]] = (name, reference["name"], reference["key"])
        auth = next(v for v in pod["volumes"] if v["name"] == "auth")["projected"]["sources"]
        files = {(s["secret"]["name"], s["secret"]["items"][0]["key"]) for s in auth}
        assert files == {("slipstream-auth", "hs256-secret"), ("issuer-keys", "jwks.json"),
                         ("service-token", "token")}, files
    assert variables == {
        "SLIPSTREAM_CACHE_REDIS_URL": ("r-slipstream-cache", "cache-redis", "url"),
        "SLIPSTREAM_TASK_QUEUE_REDIS_URL": ("r-slipstream-task-queue", "queue-redis", "redis-url"),
        "SLIPSTREAM_NOTIFICATION_REDIS_URL": ("r-slipstream-notification", "notify-redis", "url"),
        "SLIPSTREAM_DATABASE_OPTIMIZER_POSTGRES_URL": ("r-slipstream-database-optimizer", "postgres", "url"),
    }, variables


@case("the variables of secrets are those of the configuration reference")
def _():
    reference = (ROOT / "libs/config/REFERENCE.md").read_text()
    for _, _, container in containers(rendered(4, "full")):
        for variable in container["env"]:
            assert variable["name"] == "HOME" or f"`{variable['name']}`" in reference, variable["name"]


def check_with_binary(binary, render):
    """The loader's word on each configuration, its key files replaced by ones that are here."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "hs256-secret").write_text("0123456789abcdef0123456789abcdef0123456789abcdef\n")
        (folder / "jwks.json").write_text('{"keys": []}\n')
        (folder / "service-token").write_text("a.b.c\n")
        for name, text in configurations(render):
            path = folder / f"{name}.textproto"
            path.write_text(text.replace("/etc/slipstream/auth/", f"{folder}/"))
            environment = {"PATH": "/usr/bin:/bin"}
            for variable in render.of("Deployment", name)[0]["spec"]["template"]["spec"]["containers"][0]["env"]:
                environment[variable["name"]] = "redis://user:pa55word@example.com:6379/0"
            done = subprocess.run([binary, f"--config={path}", "--print_config"], capture_output=True, text=True,
                                  env=environment, timeout=30)
            assert done.returncode == 0, f"{name}: {done.stderr.strip()}"
            assert "0.0.0.0:" in done.stdout and "pa55word" not in done.stdout, name


# --- values that are wrong

def misspelt(key):
    """The key with its last two letters changed places, or one letter doubled."""
    swapped = key[:-2] + key[-1] + key[-2]
    return swapped if swapped != key else key + key[-1]


def with_misspelt(values, path=()):
    """The values with a misspelt twin beside each key at every depth; the twins as (path, key) pairs."""
    if isinstance(values, dict):
        made, twins = {}, []
        for key, value in values.items():
            made[key], below = with_misspelt(value, path + (key,))
            made[misspelt(key)] = value
            twins += [(path, misspelt(key))] + below
        return made, twins
    if isinstance(values, list):
        made = [with_misspelt(value, path + (str(index),)) for index, value in enumerate(values)]
        return [value for value, _ in made], [twin for _, below in made for twin in below]
    return values, []


def refused_keys(version, errors):
    """The (path, key) pairs that Helm says are not allowed."""
    if version == 3:
        return {(tuple(path.split(".")) if path != "(root)" else (), key) for path, key in
                re.findall(r"^- (\S+): Additional property (\S+) is not allowed$", errors, re.M)}
    return {(tuple(path.split("/")[1:]), key)
            for path, keys in re.findall(r"- at '(.*)': additional properties (.+) not allowed$", errors, re.M)
            for key in re.findall(r"'([^']+)'", keys)}


@case("a key that is misspelt is refused at every path of values.yaml")
def _():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    # Branches that values.yaml only shows as comments or empty.
    values["services"]["edge"]["ingress"]["tls"] = FULL["services"]["edge"]["ingress"]["tls"]
    values["defaults"]["tolerations"] = FULL["defaults"]["tolerations"]
    values["config"]["auth"]["roles"] = FULL["config"]["auth"]["roles"]
    # All at once, as Helm names every key that it refuses; then some of each depth alone.
    wrong, twins = with_misspelt(values)
    assert len(twins) >= MIN_MISSPELT_PATHS_COUNT, len(twins)
    for version in HELM:
        done = Render(version, wrong)
        assert done.code != 0, f"helm {version} accepts them"
        missed = set(twins) - refused_keys(version, done.err)
        assert not missed, f"helm {version} accepts {sorted(missed)[:5]} of {len(missed)}"

    def alone(index, path, key):
        override = {key: "x"}
        for part in reversed(path):
            override = {part: override}
        refused(override, key, version=3 + index % 2)
    maps = [(path, key) for path, key in twins if not any(part.isdigit() for part in path)]
    step = max(1, len(maps) // (MIN_MISSPELT_PATHS_COUNT + 10))
    sample = maps[::step]
    assert len(sample) >= MIN_MISSPELT_PATHS_COUNT
    all_of([lambda i=i, p=p, k=k: alone(i, p, k) for i, (p, k) in enumerate(sample)])


@case("every object of the schema is closed, every other value has a type")
def _():
    def check(schema, path):
        if "anyOf" in schema:
            for index, one in enumerate(schema["anyOf"]):
                check(one, f"{path}|{index}")
            return
        assert schema.get("type") in ("object", "array", "string", "integer", "number", "boolean"), path
        if schema["type"] == "object":
            assert schema.get("additionalProperties") is False, f"{path} takes any key"
        for key, below in {**schema.get("properties", {}), **schema.get("patternProperties", {})}.items():
            check(below, f"{path}.{key}")
        if schema["type"] == "array":
            check(schema["items"], f"{path}[]")
    check(json.loads((CHART / "values.schema.json").read_text()), "values")


@case("values out of range or of the wrong kind are refused")
def _():
    wrong = [
        {"services": {"cache": {"replicas": -1}}},
        {"services": {"cache": {"replicas": "1"}}},
        {"services": {"cache": {"ports": {"grpc": 80}}}},
        {"services": {"cache": {"resources": {"limits": {"memory": "lots"}}}}},
        {"services": {"cache": {"resources": {"limits": {"memory": None}}}}},
        {"services": {"cache": {"resources": None}}},
        {"services": {"cache": {"postgresUrl": {"existingSecret": "x"}}}},
        {"services": {"worker": {"redisUrl": {"existingSecret": "x"}}}},
        {"services": {"worker": {"ingress": {"enabled": True}}}},
        {"services": {"edge": {"service": {"type": "ExternalName"}}}},
        {"services": {"edge": {"autoscaling": {"enabled": "yes"}}}},
        {"services": {"search": {"enabled": True}}},
        {"services": {"worker": None}},
        {"defaults": {"podSecurityContext": {"runAsUser": 0}}},
        {"defaults": {"podSecurityContext": {"privileged": True}}},
        {"defaults": {"image": {"pullPolicy": "Sometimes"}}},
        {"defaults": {"podLabels": {"not a label!": "x"}}},
        {"auth": {"hs256": {"secret": "0123456789abcdef0123456789abcdef"}}},
        {"auth": {"hs256": {"existingSecret": "Not_A_Name"}}},
        {"config": {"task_queue": {"lease_ms": 0}}},
        {"config": {"task_queue": {"lease_ms": "15000"}}},
        {"config": {"logging": {"level": "LOUD"}}},
        {"config": {"cache": {"redis_url": "redis://u:p@h"}}},
        {"config": {"database_optimizer": {"postgres_url": "postgresql://u:p@h/d"}}},
        {"config": {"auth": {"service_token": "a.b.c"}}},
        {"config": {"cache": {"grpc_address": "127.0.0.1:7401"}}},
        {"config": {"standalone": {"grpc_address": "0.0.0.0:7400"}}},
        {"global": {"anything": 1}},
    ]
    all_of([lambda v=v, n=n: refused(v, version=n) for v in wrong for n in HELM])


@case("more replicas of a service with state in memory are refused, and taken with a Redis URL")
def _():
    for service in ("cache", "task_queue", "notification"):
        for wrong in ({"replicas": 2}, {"autoscaling": {"enabled": True}}):
            for version in HELM:
                refused({"services": {service: wrong}}, f"services.{service}.redisUrl.existingSecret",
                        version=version)
            right = {"services": {service: {**wrong, "redisUrl": {"existingSecret": "redis"}}}}
            strategy = Render(4, right).of("Deployment", "r-slipstream-" + service.replace("_", "-"))
            assert strategy[0]["spec"]["strategy"]["type"] == "RollingUpdate", service
    refused({"services": {"monitoring": {"replicas": 2}}}, "services.monitoring")
    for service in ("cache", "task_queue", "notification", "monitoring"):
        deployment = rendered(4, "default").of("Deployment", "r-slipstream-" + service.replace("_", "-"))[0]
        assert deployment["spec"]["replicas"] == 1 and deployment["spec"]["strategy"]["type"] == "Recreate", service


@case("keys that cannot work together are refused with what to do")
def _():
    none = {"existingSecret": ""}
    refused({"auth": {"hs256": none}}, "auth.jwks.existingSecret")
    refused({"auth": {"hs256": none, "jwks": {"existingSecret": "k"}}}, "auth.serviceToken.existingSecret")
    refused({"services": {"edge": {"autoscaling": {"minReplicas": 5, "maxReplicas": 2}}}}, "minReplicas")
    refused({"services": {"edge": {"ingress": {"enabled": True, "hosts": []}}}}, "services.edge.ingress.hosts")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--binary", action="append", default=[], help="a service binary to load with")
    for binary in parser.parse_args().binary:
        @case(f"configurations are accepted by {pathlib.Path(binary).name}")
        def _(path=str(pathlib.Path(binary).resolve())):
            each(lambda render: check_with_binary(path, render))

    failed = 0
    for name, function in cases:
        try:
            function()
            print(f"ok {name}", flush=True)
        except Exception as error:  # a case that breaks is a case that fails
            failed += 1
            print(f"FAIL {name}: {error}", flush=True)
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    for helm in HELM.values():
        if not helm.is_file():
            sys.exit(f"{helm.relative_to(ROOT)} is missing: run tools/setup")
    sys.exit(main())
