"""Reading the recipes, and running their commands outside of containers.

A command runs as it is written, but that the folders of a container are folders of the test, the
host of the database is this one, and ports are free ones.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from tests.storage.postgres import Server

ROOT = Path(__file__).parents[2]
PASSWORD = "no one / guesses: this@1"
TOKEN = "a token that is long enough"
FOLDERS = ("studies", "artifacts", "cache", "tmp")


def compose_schema() -> dict[str, Any]:
    """Return the schema of the compose specification, as check-jsonschema carries it."""
    schemas = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    found: dict[str, Any] = json.loads((schemas / "compose-spec.json").read_text())
    return found


def compose_file(name: str = "docker-compose.yml", **variables: str) -> dict[str, Any]:
    """Return a compose file with its variables filled in.

    Raises:
        KeyError: one that must be given is not.
    """
    return filled_in(yaml.safe_load((ROOT / name).read_text()), variables)


def filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    """Return a value with ``${NAME:-default}`` and ``${NAME:?message}`` replaced in it."""
    if isinstance(value, dict):
        return {key: filled_in(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [filled_in(one, variables) for one in value]
    return _variables(value, variables) if isinstance(value, str) else value


def _variables(text: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        return variables.get(name) or (rest if operator == ":-" else _missing(name))

    return re.sub(r"\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


def _missing(name: str) -> str:
    raise KeyError(name)


def kubernetes() -> dict[str, dict[str, Any]]:
    """Return the Kubernetes objects by kind."""
    documents = yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text())
    return {document["kind"]: document for document in documents}


def image_environment() -> dict[str, str]:
    """Return the variables that the Dockerfile sets."""
    block = re.search(r"^ENV ((?:.*\\\n)*.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert block is not None
    pairs = (pair.split("=", 1) for pair in block[1].replace("\\\n", " ").split())
    return dict(pairs)


def strings(value: Any) -> Iterator[str]:
    """Yield every string in a value."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield str(key)
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, str):
        yield value


@dataclass(frozen=True)
class Host:
    """This host in the place of a container's.

    Attributes:
        folder: in which the folders of a container are.
        server: in the place of the database's host.
        port: in the place of the web service's.
    """

    folder: Path
    server: Server
    port: int

    def here(self, text: str) -> str:
        """Return what a container is told as it reads here."""
        text = re.sub(rf"^/({'|'.join(FOLDERS)})(?=/|$)", rf"{self.folder}/\1", text)
        text = text.replace("@postgres/", f"@127.0.0.1:{self.server.port}/")
        text = text.replace("0.0.0.0", "127.0.0.1")
        return re.sub(r"\b8000\b", str(self.port), text)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return the variables of a container, and the few that a process needs here."""
        ours = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        inside = {**image_environment(), **given}
        return ours | {name: self.here(value) for name, value in inside.items()}

    def start(self, arguments: list[str], given: Mapping[str, str]) -> subprocess.Popen[str]:
        """Start what the image's entrypoint does with arguments."""
        command = [sys.executable, "-m", "tests.deploy.main", *map(self.here, arguments)]
        return subprocess.Popen(
            command,
            cwd=self.folder / "artifacts",
            env=self.environment(given),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: list[str], given: Mapping[str, str]) -> int:
        """Run a command of a health check or of an initial container; return its exit status."""
        words = [sys.executable if word == "python" else self.here(word) for word in command]
        environment = self.environment(given) | {"PGPORT": str(self.server.port)}
        return subprocess.run(words, env=environment, capture_output=True, check=False).returncode


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
