"""One real server process: it listens, refuses what is too large, ends when told to."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pareto_prune.storage import open_storage
from tests.storage.scripted import study_config

ROOT = Path(__file__).parents[2]
TOKEN = "a token that is long enough"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pareto_prune.cli", "serve", *arguments]


@pytest.fixture
def server(tmp_path):
    """A running server; yields its process and its port."""
    url = f"sqlite:///{tmp_path}/study.db"
    open_storage(url).create(study_config())
    process = subprocess.Popen(
        command("--storage", url, "--port", "0"),
        cwd=ROOT,
        env={**os.environ, "PARETO_PRUNE_TOKEN": TOKEN},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)\n", line)
    assert found is not None, line
    try:
        yield process, int(found[1])
    finally:
        process.kill()
        process.communicate()


def get(port: int, path: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def raw(port: int, sent: bytes) -> bytes:
    """Send bytes and return the first line of what comes back."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(sent)
        return connection.recv(4096).partition(b"\r\n")[0]


@pytest.mark.slow
def test_a_server_serves_and_ends(server):
    process, port = server
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert get(port, "/health") == (200, b'{"status":"ok"}')
    assert get(port, "/")[0] == 401
    assert b"scripted" in get(port, "/", **bearer)[1]
    header = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 20_000 + b"\r\n\r\n"
    assert raw(port, header) == b"HTTP/1.1 431 Request Header Fields Too Large"
    endless = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 200_000
    assert raw(port, endless).startswith(b"HTTP/1.1 400")
    assert raw(port, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    traversal = f"GET /static/../../etc/passwd HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}"
    assert raw(port, f"{traversal}\r\n\r\n".encode()).startswith((b"HTTP/1.1 403", b"HTTP/1.1 404"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) in (0, -signal.SIGTERM)


@pytest.mark.slow
def test_elsewhere_without_a_token_is_exit_2(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PARETO_PRUNE_TOKEN"}
    ended = subprocess.run(
        command("--host", "0.0.0.0", "--storage", f"sqlite:///{tmp_path}/study.db"),
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line == (
        "--host: 0.0.0.0 is reached from elsewhere, and there is no token, "
        "allowed: set PARETO_PRUNE_TOKEN, or --host 127.0.0.1"
    )
