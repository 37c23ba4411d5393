"""The Dockerfile: what it copies and installs is there, and nobody in it is root."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.deploy.recipes import FOLDERS, ROOT, image_environment

TEXT = (ROOT / "Dockerfile").read_text()
LINES = [line for line in TEXT.replace("\\\n", " ").splitlines() if not line.startswith("#")]


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(f"{name} ")]


def test_what_it_copies_is_there_and_gets_into_the_context():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {source for line in instructions("COPY") for source in line.split()[:-1]}
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)
    assert "*" in lines


def test_its_extras_are_those_of_the_package():
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    arguments = dict(line.split("=", 1) for line in instructions("ARG"))
    assert set(arguments["EXTRAS"].split(",")) == {"demo", "serve"}
    assert set(arguments["EXTRAS"].split(",")) <= set(extras)
    assert arguments["TORCH_INDEX"] == '""'
    [install] = [line for line in instructions("RUN") if "pip install" in line]
    assert "--constraint constraints.txt" in install
    assert "[${EXTRAS}]" in install


def test_its_user_is_not_root_and_owns_what_it_writes():
    [user] = instructions("USER")
    uid = user.partition(":")[0]
    assert uid.isdigit()
    assert uid != "0"
    assert LINES.index(f"USER {user}") > max(
        i for i, line in enumerate(LINES) if line.startswith(("RUN", "COPY"))
    )
    assert f"--owner={uid} --group={uid} /cache /artifacts /studies" in " ".join(TEXT.split())


def test_it_keeps_what_is_written_in_volumes():
    written = [value for value in image_environment().values() if value.startswith("/")]
    assert written
    assert {value.split("/")[1] for value in written} == {"cache"}
    assert instructions("VOLUME") == ['["/cache", "/artifacts"]']
    assert {"cache", "artifacts", "studies"} <= set(FOLDERS)


def test_its_entrypoint_is_a_script_of_the_package():
    with (ROOT / "pyproject.toml").open("rb") as file:
        scripts = tomllib.load(file)["project"]["scripts"]
    [entrypoint] = instructions("ENTRYPOINT")
    init, _, script = re.findall(r'"([^"]+)"', entrypoint)
    assert script in scripts
    assert f"install --yes --no-install-recommends {init}" in TEXT


@pytest.mark.parametrize(
    "name", ["Dockerfile", "docker-compose.yml", "deploy/kubernetes.yaml", "deploy/slurm.sh"]
)
def test_it_names_no_other_host(name):
    text = (ROOT / name).read_text()
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= {"127.0.0.1"}
