"""A headless Chromium for tests, spoken to over a pipe (Chrome DevTools Protocol, JSON and NUL)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """Return the path of an installed Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


_PLACE_DESCRIPTORS = """
import os, sys
read, write = (os.dup(int(n)) for n in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
for descriptor in (3, 4):
    os.set_inheritable(descriptor, True)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One Chromium with one page. Network is off; what the page asks for is recorded."""

    def __init__(self, program: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="chromium-")
        self._process, self._out, self._in = _started(program, self._folder)
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, AssertionError):
            self._session = None
            self.call("Browser.close")
        os.close(self._in)
        os.close(self._out)
        self._process.wait(20)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result, noting the events in between."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._in, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def open(
        self, page: Path, mark: str = "", width: int = 1280, height: int = 900, dark: bool = False
    ) -> None:
        """Open a page at a window size and wait until it says that it is ready."""
        self.errors.clear()
        self.requests.clear()
        phone = width < 600
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=page.as_uri() + mark)
        self.until("document.body && document.body.dataset.ready === 'true'")

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page, awaiting a promise, and return its JSON value."""
        result = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, condition: str, seconds: float = 60.0) -> None:
        """Wait until a condition holds in the page."""
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"never true: {condition}; errors: {self.errors}"
            self.run("new Promise(done => setTimeout(done, 20))")

    def data(self, name: str) -> str | None:
        """Return a ``data-`` attribute of the body, by its name in scripts."""
        return self.run(f"document.body.dataset.{name} ?? null")

    def key(self, name: str) -> None:
        """Press and release a key."""
        text = {"Enter": "\r"}.get(name)
        extra = {"text": text} if text else {}
        codes = {"Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39, "End": 35, "Home": 36}
        code = codes[name]
        common = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **extra)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def picture(self, path: Path, whole: bool = False) -> None:
        """Write a screenshot, of the whole page if asked."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def printed(self, path: Path) -> None:
        """Write the page as PDF."""
        made = self.call("Page.printToPDF", printBackground=True)
        path.write_bytes(base64.b64decode(made["data"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            part = os.read(self._out, 1 << 16)
            assert part, "Chromium is gone"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, given = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(given["exceptionDetails"])[:600])
        if method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(given["args"])[:600])
        if method == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(given["entry"]["text"])
        if method == "Network.requestWillBeSent":
            url = given["request"]["url"]
            if not url.startswith(("data:", "blob:", "file:", "about:")):
                self.requests.append(url)


def _started(program: str, folder: str) -> tuple[subprocess.Popen[bytes], int, int]:
    """Start Chromium; it reads commands from descriptor 3 and answers on 4."""
    their_in, our_in = os.pipe()
    our_out, their_out = os.pipe()
    arguments = [program, *FLAGS, f"--user-data-dir={folder}"]
    process = subprocess.Popen(
        [sys.executable, "-c", _PLACE_DESCRIPTORS, str(their_in), str(their_out), *arguments],
        pass_fds=(their_in, their_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_in)
    os.close(their_out)
    return process, our_out, our_in
