"""docker-compose.yml: valid, tight, and every command in it does what it is there for."""

from __future__ import annotations

import re

import jsonschema
import pytest
import yaml

from pareto_prune.api import Workers
from pareto_prune.core.records import TrialState
from tests.deploy.recipes import (
    PASSWORD,
    ROOT,
    TOKEN,
    compose_file,
    compose_schema,
    strings,
)

pytestmark = pytest.mark.slow

SECRETS = {"POSTGRES_PASSWORD": PASSWORD, "PARETO_PRUNE_TOKEN": TOKEN}
NAMES = ("postgres", "run", "worker", "web")
OURS = ("run", "worker", "web")


@pytest.fixture(scope="module")
def services():
    return compose_file(**SECRETS, STUDY="small", WORKERS="1")["services"]


@pytest.mark.parametrize("name", ["docker-compose.yml", "deploy/compose.gpu.yml"])
def test_it_is_what_compose_reads(name):
    schema = compose_schema()
    validator = jsonschema.validators.validator_for(schema)(schema)
    validator.validate(yaml.safe_load((ROOT / name).read_text()))
    validator.validate(compose_file(name, **SECRETS))
    wrong = compose_file(name, **SECRETS)
    wrong["services"]["run"]["restrat"] = "always"
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(wrong)


def test_it_has_no_service_without_a_test(services):
    assert set(services) == set(NAMES)
    assert set(compose_file("deploy/compose.gpu.yml")["services"]) <= set(services)


def test_every_gpu_has_one_worker():
    """Compose lays one file over the other: commands are replaced, ``deploy`` is merged."""
    given = {**SECRETS, "WORKERS": "2", "REPLICAS": "3"}
    plain = compose_file(**given)["services"]
    laid = compose_file("deploy/compose.gpu.yml", **given)["services"]
    [device] = laid["run"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"]) == ("nvidia", "all")
    assert [*laid["run"]["command"], "--workers", "2"] == plain["run"]["command"]
    several = Workers(launcher_name="processes").launcher()
    seen = [one["CUDA_VISIBLE_DEVICES"] for one in several.environments(["0", "1", "2"], 8)]
    assert seen == ["0", "1", "2"]
    assert laid["worker"] == {"deploy": {"replicas": 0}}


@pytest.mark.parametrize("missing", list(SECRETS))
def test_nothing_starts_without_its_secrets(missing):
    with pytest.raises(KeyError, match=missing):
        compose_file(**{**SECRETS, missing: ""})


def test_secrets_come_from_the_environment_and_go_nowhere_else(services):
    text = (ROOT / "docker-compose.yml").read_text()
    for line in re.findall(r"^.*(?:PASSWORD|TOKEN|SECRET).*:.*$", text, re.MULTILINE):
        assert re.search(r": \$\{\w+:\?[^}]+\}$", line) or line.startswith("#"), line
    for service in services.values():
        spoken = [*strings(service.get("command")), *strings(service.get("healthcheck"))]
        assert not [one for one in spoken if PASSWORD in one or TOKEN in one]
        assert PASSWORD not in service["environment"].get("PARETO_PRUNE_STORAGE", "")
    assert "PARETO_PRUNE_TOKEN" not in services["worker"]["environment"]


def test_the_example_of_an_environment_names_all_and_tells_nothing():
    lines = (ROOT / ".env.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert set(given) == asked
    assert [given[name] for name in SECRETS] == ["", ""]
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_a_container_may_do_little(services, name):
    service = services[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] in ("on-failure:10", "unless-stopped")
    assert not {"privileged", "cap_add", "network_mode", "pid"} & set(service)


def test_one_port_is_published_on_this_host_alone(services):
    assert [name for name in NAMES if "ports" in services[name]] == ["web"]
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]
    assert services["postgres"]["networks"] == ["database"]
    assert compose_file(**SECRETS)["networks"]["database"] == {"internal": True}


@pytest.mark.parametrize("name", OURS)
def test_ours_are_one_image_behind_the_database(services, name):
    service = services[name]
    assert service["image"] == "pareto-prune"
    assert service["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_volumes_are_there_and_study_files_cannot_be_written(services):
    named = set(compose_file(**SECRETS)["volumes"])
    for name in NAMES:
        for volume in services[name]["volumes"]:
            assert volume.startswith(("/", "./")) or volume.partition(":")[0] in named
    assert "./studies:/studies:ro" in services["run"]["volumes"]
    assert "artifacts:/artifacts:ro" in services["web"]["volumes"]
    assert re.match(r"postgres:\d+$", services["postgres"]["image"])


def test_its_commands_run_a_study_and_serve_it(services, host, small):
    """The worker comes first, and is started again as ``on-failure`` has it, until it may begin."""
    run, worker, web = (services[name] for name in OURS)
    check = services["postgres"]["healthcheck"]["test"]
    assert host.ask(check[1:], {}) == 0
    early = host.start(worker["command"], worker["environment"])
    said = early.communicate()[1]
    assert (early.returncode, said.count("\n")) == (2, 1), said
    served = host.start(web["command"], web["environment"])
    begun = host.start(run["command"], run["environment"])
    try:
        assert served.stderr is not None
        assert served.stderr.readline() == f"http://127.0.0.1:{host.port}\n"
        assert host.ask(web["healthcheck"]["test"][1:], {}) == 0
        assert begun.stderr is not None
        said = begun.stderr.readline() + joined(host, worker, begun)
        out, err = begun.communicate()
        assert begun.returncode == 0, err
        assert small().counts()[TrialState.COMPLETE] == 2
        assert (host.folder / "artifacts/pages/small/report.html").is_file()
        assert PASSWORD not in said + out + err
        host.server.stop()
        assert host.ask(web["healthcheck"]["test"][1:], {}) != 0
        assert host.ask(check[1:], {}) != 0
    finally:
        for process in (begun, served):
            process.kill()
            process.communicate()
        host.server.start()


def joined(host, worker, begun):
    """Start the worker, again where it ends with 2, until it has worked; return what it said."""
    said = ""
    while True:
        ended = host.start(worker["command"], worker["environment"])
        said += "".join(ended.communicate())
        if ended.returncode == 0:
            return said
        assert ended.returncode == 2, said
        assert begun.poll() in (None, 0), begun.communicate()


def test_the_server_asks_for_the_password(services, host):
    environment = {**services["web"]["environment"], "PGPASSWORD": "guessed"}
    ended = host.start(["studies"], environment)
    out, err = ended.communicate()
    assert (ended.returncode, out) == (2, "")
    assert "password authentication failed" in err


def test_a_password_of_the_environment_is_in_no_help(host):
    url = "postgresql+psycopg://someone:hidden-password@127.0.0.1/studies"
    for verb in ("worker", "serve", "run"):
        shown = host.start([verb, "--help"], {"PARETO_PRUNE_STORAGE": url})
        out, err = shown.communicate()
        assert shown.returncode == 0
        assert "PARETO_PRUNE_STORAGE" in out
        assert "hidden" not in out + err
