"""A real browser without a window, driven by the DevTools protocol over two pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
)

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is on PATH: install chromium")

_FIRST_FREE = 10
_TRAMPOLINE = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""The browser reads commands from file descriptor 3 and writes answers and events to 4."""


class Browser:
    """One page in a browser.

    Attributes:
        complaints: What the page's console and its scripts complained of.
        requests: Addresses that the page asked for, its own file included.
    """

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._commands = commands
        self._answers = answers
        self._number = 0
        self._loaded = False
        self._session: str | None = None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        self.size(1200, 900)

    def size(self, width: int, height: int) -> None:
        """Set the size of what is seen. Unit: CSS pixels."""
        self._ask("Emulation.setScrollbarsHidden", hidden=True)
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def light(self, scheme: str) -> None:
        """Set what light the reader prefers, `light` or `dark`."""
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, address: str) -> None:
        """Open an address anew, and return once it is loaded and its scripts have drawn."""
        self._loaded = False
        self._ask("Page.navigate", url="about:blank")
        self._wait_until_loaded()
        self._loaded = False
        self._ask("Page.navigate", url=address)
        self._wait_until_loaded()
        assert self.value("document.documentElement.dataset.drawn") == "yes", self.complaints

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript gives in the page, as JSON would; a promise is waited for."""
        told = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def text(self, selector: str) -> str:
        """Return what is read in an element, with single spaces and without joiners of words."""
        said = self.value(f"document.querySelector({json.dumps(selector)}).textContent")
        return " ".join(str(said).replace("\u2060", "").split())

    def rows(self, selector: str) -> list[list[str]]:
        """Return the text of the cells of a table's body and foot."""
        rows = f"[...document.querySelectorAll({json.dumps(f'{selector} tbody tr, {selector} tfoot tr')})]"
        told: list[list[str]] = self.value(
            f"{rows}.map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
        )
        return told

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self._ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def picture(self, path: Path) -> None:
        """Write a picture of the whole page."""
        told = self._ask("Page.captureScreenshot", captureBeyondViewport=True, fromSurface=True)
        path.write_bytes(base64.b64decode(told["data"]))

    def paper(self) -> bytes:
        """Return the page as it is printed, a PDF."""
        return base64.b64decode(self._ask("Page.printToPDF", printBackground=True)["data"])

    def _wait_until_loaded(self) -> None:
        while not self._loaded:
            self._heard()

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        self._commands.flush()
        while True:
            told = self._heard()
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                answer: dict[str, Any] = told["result"]
                return answer

    def _heard(self) -> dict[str, Any]:
        """Return the next message, and note what it tells of the page."""
        message = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser ended"
            message += byte
        told: dict[str, Any] = json.loads(message)
        method, parameters = told.get("method"), told.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(f"{parameters['entry']['level']}: {parameters['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "warning", "assert"}:
            self.complaints.append(str([each.get("value") for each in parameters["args"]]))
        return told


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Give a browser of a fresh profile, and end it.

    Args:
        profile: Folder for what it keeps.
    """
    assert CHROMIUM is not None
    (told_to, commands), (answers, told_by) = _pipe(), _pipe()
    arguments = [*FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", _TRAMPOLINE, str(told_to), str(told_by), CHROMIUM, *arguments],
        pass_fds=(told_to, told_by),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(told_to)
    os.close(told_by)
    with os.fdopen(commands, "wb") as writing, os.fdopen(answers, "rb") as reading:
        try:
            yield Browser(writing, reading)
        finally:
            process.terminate()
            process.wait(timeout=300)


def _pipe() -> tuple[int, int]:
    """Return both ends of a pipe, away from the descriptors that the browser gives a meaning."""
    moved = []
    for end in os.pipe():
        moved.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE))
        os.close(end)
    return moved[0], moved[1]


def address(folder: Path, file: str = "index.html", chosen: str = "") -> str:
    """Return the address of a page with what is chosen."""
    return f"{(folder / file).as_uri()}{f'#{chosen}' if chosen else ''}"
