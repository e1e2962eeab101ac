"""A headless Chromium, spoken to by WebDriver, which is JSON over HTTP: no package is needed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

DRIVER = shutil.which("chromedriver")
BINARY = shutil.which("chromium") or shutil.which("google-chrome")
MISSING = "" if DRIVER and BINARY else "there is no chromium with a chromedriver here"
OPTIONS = {
    "browserName": "chrome",
    "goog:loggingPrefs": {"browser": "ALL"},
    "goog:chromeOptions": {"binary": BINARY, "args": ["--headless=new", "--no-sandbox", "--disable-gpu"]},
}


class Browser:
    """One tab; everything it loads is a file.

    Args:
        width: of the window, in CSS pixels; below 600 it is a phone.
        scheme: "light" or "dark".
    """

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen([str(DRIVER), f"--port={port}"], stdout=subprocess.DEVNULL)
        self.address = f"http://127.0.0.1:{port}"
        while True:
            with suppress(urllib.error.URLError):
                if self._ask("GET", "/status")["ready"]:
                    break
            time.sleep(0.1)
        made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": OPTIONS}})
        self.address += f"/session/{made['sessionId']}"

    def close(self) -> None:
        with suppress(OSError):
            self._ask("DELETE", "")
        self.process.terminate()
        self.process.wait(10)

    def _ask(self, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
        body = None if method != "POST" else json.dumps(data or {}).encode()
        request = urllib.request.Request(self.address + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, page: Path, *, width: int = 1280, scheme: str = "light") -> None:
        """Load a file as on a screen of this width and colour scheme."""
        phone = width < 600
        height = 844 if phone else 900
        self.devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone
        )
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._ask("POST", "/url", {"url": "about:blank"})
        self._ask("POST", "/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of a function returns in the page; a promise is waited for."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, key: str) -> None:
        """A key that has no character, by its WebDriver code point."""
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def complaints(self) -> list[str]:
        """What the console was told since the last time."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, file: Path) -> None:
        import base64

        file.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))
