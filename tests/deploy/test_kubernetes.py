"""deploy/kubernetes.yaml: sound in its structure, and what its containers run does run."""

from __future__ import annotations

import itertools
import re

import pytest

from pareto_prune.core.records import TrialState
from tests.deploy.recipes import PASSWORD, ROOT, TOKEN, image_environment, kubernetes, strings

pytestmark = pytest.mark.slow

OBJECTS = kubernetes()
SECRETS = {"password": PASSWORD, "token": TOKEN}
PODS = {kind: OBJECTS[kind]["spec"]["template"]["spec"] for kind in ("Job", "Deployment")}
CONTAINERS = [
    pytest.param(PODS[kind], container, id=container["name"])
    for kind in PODS
    for container in [*PODS[kind].get("initContainers", []), *PODS[kind]["containers"]]
]


def environment(container):
    """Return a container's variables, with the Secret's content in their places."""
    return {
        one["name"]: one["value"]
        if "value" in one
        else SECRETS[one["valueFrom"]["secretKeyRef"]["key"]]
        for one in container["env"]
    }


def test_objects_name_each_other():
    claim = OBJECTS["PersistentVolumeClaim"]["metadata"]["name"]
    for pod in PODS.values():
        claims = [one.get("persistentVolumeClaim", {}).get("claimName") for one in pod["volumes"]]
        assert claim in claims
    web = OBJECTS["Deployment"]["spec"]
    labels = web["template"]["metadata"]["labels"]
    assert web["selector"]["matchLabels"].items() <= labels.items()
    service = OBJECTS["Service"]["spec"]
    assert service["selector"].items() <= labels.items()
    [port] = PODS["Deployment"]["containers"][0]["ports"]
    assert service["ports"][0]["targetPort"] == port["name"]
    assert service["type"] == "ClusterIP"
    job = OBJECTS["Job"]["spec"]["template"]["metadata"]["labels"]
    assert not service["selector"].items() <= job.items()


def test_the_job_is_a_work_queue():
    spec = OBJECTS["Job"]["spec"]
    assert spec["parallelism"] > 1
    assert "completions" not in spec
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    refused, preempted = spec["podFailurePolicy"]["rules"]
    assert refused["onExitCodes"]["values"] == [2, 3]
    assert refused["onExitCodes"]["containerName"] == PODS["Job"]["containers"][0]["name"]
    assert preempted == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


@pytest.mark.parametrize("kind", PODS)
def test_a_pod_is_not_root_and_has_a_grace(kind):
    pod = PODS[kind]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] >= 20


@pytest.mark.parametrize(("pod", "container"), CONTAINERS)
def test_a_container_may_do_little(pod, container):
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounts = {one["name"]: one["mountPath"] for one in container.get("volumeMounts", [])}
    assert set(mounts) <= volumes
    if container["image"] == "pareto-prune":
        for path in filter(lambda value: value.startswith("/"), image_environment().values()):
            assert any(path.startswith(mount) for mount in mounts.values()), path


def test_a_worker_has_a_gpu():
    limits = PODS["Job"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 1


def test_what_is_of_another_cluster_is_marked():
    lines = (ROOT / "deploy/kubernetes.yaml").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if re.search(r"@postgres\b|-h postgres\b|image: pareto-prune|ReadWriteMany", line):
            assert "CHANGE" in before + line, line


def test_secrets_are_referred_to_alone():
    secret = [
        (one["name"], one["valueFrom"]["secretKeyRef"]["name"])
        for pod in PODS.values()
        for one in pod["containers"][0]["env"]
        if "valueFrom" in one
    ]
    assert {name for name, _ in secret} == {"PGPASSWORD", "PARETO_PRUNE_TOKEN"}
    assert {name for _, name in secret} == {"pareto-prune"}
    for text in strings(list(OBJECTS.values())):
        assert not re.search(r"://[^/@]*:[^/@]*@", text)


def test_its_commands_run_a_study_and_serve_it(host, small):
    study = host.folder / "studies/study.toml"
    (host.folder / "studies/small.toml").rename(study)
    [first], [worker] = PODS["Job"]["initContainers"], PODS["Job"]["containers"]
    shell = [part.replace("-h postgres", "-h 127.0.0.1") for part in first["command"]]
    assert host.ask(shell, {}) == 0
    ended = host.start(worker["args"], environment(worker))
    out, err = ended.communicate()
    assert ended.returncode == 0, err
    assert small().counts()[TrialState.COMPLETE] == 2
    assert PASSWORD not in out + err
    [web] = PODS["Deployment"]["containers"]
    probe = web["readinessProbe"]["httpGet"]
    assert probe["port"] == web["ports"][0]["name"]
    assert web["ports"][0]["containerPort"] == 8000
    served = host.start(web["args"], environment(web))
    try:
        assert served.stderr is not None
        assert served.stderr.readline() == f"http://127.0.0.1:{host.port}\n"
        code = "import urllib.request as r, sys; r.urlopen(sys.argv[1])"
        url = f"http://127.0.0.1:{host.port}{probe['path']}"
        assert host.ask(["python", "-c", code, url], {}) == 0
    finally:
        served.terminate()
        served.communicate()
