"""Headless Chromium over WebDriver, with nothing but the standard library.

https://www.w3.org/TR/webdriver2/
"""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # of the standard


def missing():
    """What of Debian's chromium and chromium-driver is not there."""
    return [name for name in ("chromium", "chromedriver") if not shutil.which(name)]


class Browser:
    """One window."""

    def __init__(self, address, dark=False, width=1100, height=900):
        arguments = [
            "--headless=new",
            "--no-sandbox",  # tests run as root
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--window-size={width},{height}",
        ]
        if dark:
            arguments.append("--blink-settings=preferredColorScheme=0")
        options = {"args": arguments, "binary": shutil.which("chromium")}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 20_000},
        }
        self._address = address
        started = self._send("session", {"capabilities": {"alwaysMatch": wanted}})
        self._address = f"{address}/session/{started['sessionId']}"

    def open(self, url):
        self._send("url", {"url": url})

    def run(self, script, *args):
        """What a function's body returns; `arguments` are args."""
        return self._send("execute/sync", {"script": script, "args": list(args)})

    def find(self, selector):
        found = self._send("element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def click(self, selector):
        self._send(f"element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        """Keys, or the paths of files."""
        self._send(f"element/{self.find(selector)}/value", {"text": text})

    def text(self, selector):
        return self.run(
            "return document.querySelector(arguments[0]).innerText", selector
        )

    def until(self, script, *args, seconds=15):
        """Wait until a script returns something true, which is returned."""
        end = time.monotonic() + seconds
        while not (found := self.run(script, *args)):
            assert time.monotonic() < end, f"never: {script} {self.logged()}"
            time.sleep(0.02)
        return found

    def logged(self):
        """What the console says."""
        return [one["message"] for one in self._send("se/log", {"type": "browser"})]

    def picture(self):
        """PNG bytes of the window."""
        return base64.b64decode(self._send("screenshot"))

    def close(self):
        self._send("", method="DELETE")

    def _send(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self._address}/{path}".rstrip("/"), data, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(json.load(error)["value"]["message"]) from None


@contextlib.contextmanager
def window(address, **options):
    """A `Browser` that is closed in the end."""
    browser = Browser(address, **options)
    try:
        yield browser
    finally:
        browser.close()


@contextlib.contextmanager
def driver():
    """The address of a running chromedriver."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = ["chromedriver", f"--port={port}"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(500):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/status", timeout=5).close()
                    break
                time.sleep(0.02)
            yield address
        finally:
            process.terminate()
            process.wait(10)
