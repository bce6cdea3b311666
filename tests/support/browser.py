"""A headless Chromium, and what it saw: requests, messages of its console, violations of accessibility."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
    StaleElementReferenceException,
)
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.support.processes import ROOT, free_port, until

AXE = ROOT / ".cache" / "system" / "axe.js"
T = TypeVar("T")

WIDE, PHONE = (1360, 900), (390, 844)

_FIND = """
const [selector, containing] = arguments;
const shown = (one) => (one.closest('select') ?? one).checkVisibility({visibilityProperty: true});
const text = (one) => one.innerText ?? one.textContent;
return [...document.querySelectorAll(selector)].find((one) => shown(one) && text(one).includes(containing));
"""
_TAKES = """
const [address, selector, containing, done] = arguments;
const began = address ? performance.now() : 0;
if (address) location.hash = address;
const look = () => [...document.querySelectorAll(selector)].some((one) => one.textContent.includes(containing))
    ? done((performance.now() - began) / 1000) : setTimeout(look, 5);
look();
"""


class Browser:
    """One window. Close it with `close`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="dkron-browser-"))
        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium")
        for argument in (
            # its sandbox needs rights that neither root nor a container's user has
            "--no-sandbox", "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-extensions",
            "--hide-scrollbars", "--force-color-profile=srgb", f"--user-data-dir={self.folder}",
        ):  # fmt: skip
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(_program("chromedriver"), port=free_port()))
        self.driver.set_page_load_timeout(90)
        self.driver.set_script_timeout(90)
        self.size(*WIDE)
        self._messages: list[str] = []
        self._requests: list[str] = []

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- going places

    def size(self, width: int, height: int) -> None:
        """The size of the page in CSS pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def colours(self, scheme: str) -> None:
        """`light` or `dark`, as if the system were set so."""
        self.command("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def open(self, url: str) -> None:
        """Load the page; an address that differs only after its `#` changes the view. The pointer goes to a corner:
        what is under it may look otherwise."""
        self.command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 0, "y": 0})
        self.driver.get(url)

    def command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def script(self, text: str, *arguments: object) -> Any:
        return self.driver.execute_script(text, *arguments)

    # ---- finding and using

    def text(self) -> str:
        """All that the page shows, with single spaces."""
        return " ".join(self.script("return document.body.innerText").split())

    def find(self, selector: str, containing: str = "", within: float = 30) -> WebElement:
        """The first visible element of a CSS selector whose text contains this, waited for. It is looked for in one
        step of the page, which may be drawn anew many times a second."""
        return until(
            lambda: self.script(_FIND, selector, containing), within, f"{selector} with {containing!r} is shown"
        )

    def _use(self, selector: str, containing: str, use: Callable[[WebElement], T]) -> T:
        """Do something with an element, also where the page draws it anew meanwhile, or something lies above it."""

        def used() -> tuple[T] | None:
            found = self.find(selector, containing)
            try:
                return (use(found),)
            except (StaleElementReferenceException, ElementNotInteractableException):
                return None
            except ElementClickInterceptedException:
                with suppress(StaleElementReferenceException):
                    self.script("arguments[0].scrollIntoView({block: 'center'})", found)
                return None

        return until(used, 60, f"{selector} with {containing!r} can be used")[0]

    def click(self, selector: str, containing: str = "") -> None:
        self._use(selector, containing, lambda one: one.click())

    def fill(self, selector: str, text: str) -> None:
        """Type it in place of what is there, as people do: the page follows each key."""
        self._use(selector, "", lambda one: one.send_keys(Keys.CONTROL, "a", Keys.NULL, text))

    def text_of(self, selector: str) -> str:
        """What the first visible element of a CSS selector shows."""
        return self._use(selector, "", lambda one: one.text)

    def put(self, selector: str, value: str) -> None:
        """Give an input this value at once: a time (YYYY-MM-DDTHH:MM:SS), whose keys depend on the system's language,
        or a long text."""
        self.find(selector)
        self.script(
            "const one = document.querySelector(arguments[0]); one.value = arguments[1];"
            "one.dispatchEvent(new Event('input', {bubbles: true}))",
            selector,
            value,
        )

    def press(self, key: str) -> None:
        """Press a key by the name that Selenium gives it, such as `Tab`, where the focus is."""
        ActionChains(self.driver).send_keys(getattr(Keys, key.upper())).perform()

    def shows(self, *texts: str, within: float = 60) -> None:
        """Wait until the page shows all of them."""
        last = ""

        def look() -> bool:
            nonlocal last
            last = self.text()
            return all(text in last for text in texts)

        try:
            until(look, within, f"the page shows {texts}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows: {last[:2000]}") from None

    def until(self, condition: str, within: float = 60) -> Any:
        """Wait until a JavaScript expression is true."""
        return until(lambda: self.script(f"return {condition}"), within, condition)

    def takes(self, address: str, selector: str, containing: str) -> float:
        """Go to another view of the page, and wait until it shows this; the seconds that it took in the page."""
        return self.driver.execute_async_script(_TAKES, address, selector, containing)

    def memory(self) -> tuple[int, int]:
        """Bytes of the page's objects, and its DOM nodes, once what is not used has gone."""
        for _ in range(2):
            self.command("HeapProfiler.collectGarbage", {})
        used = self.command("Runtime.getHeapUsage", {})["usedSize"]
        return int(used), int(self.command("Memory.getDOMCounters", {})["nodes"])

    # ---- judging

    def picture(self, path: Path) -> None:
        """What the window shows, as a PNG."""
        path.write_bytes(self.driver.get_screenshot_as_png())

    def complaints(self) -> list[str]:
        """Warnings and errors on the console since the last call."""
        self._read()
        found, self._messages = self._messages, []
        return found

    def refused(self, status: int) -> int:
        """How often the server has said no in this way since the last call, which the console tells of."""
        found = self.complaints()
        self._messages = [message for message in found if f"status of {status} " not in message]
        return len(found) - len(self._messages)

    def requests(self) -> list[str]:
        """The addresses that were asked for since the last call."""
        self._read()
        found, self._requests = self._requests, []
        return found

    def _read(self) -> None:
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # pyright: ignore[reportUnknownMemberType]
        self._messages += [e["message"] for e in entries if e["level"] in ("WARNING", "SEVERE")]
        for entry in self.driver.get_log("performance"):  # pyright: ignore[reportUnknownMemberType]
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self._requests.append(message["params"]["request"]["url"])

    def strangers(self, origin: str) -> list[str]:
        """Requests since the last call that went elsewhere; `data:` and `blob:` go nowhere."""
        ours = urlsplit(origin).netloc
        elsewhere = lambda url: urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != ours  # noqa: E731
        return [url for url in self.requests() if elsewhere(url)]

    def violations(self, *rules: str) -> list[str]:
        """What axe-core finds wrong in the page as it is, by the rules of WCAG and good practice, or by these alone."""
        self.command("Page.setBypassCSP", {"enabled": True})
        if not self.script("return 'axe' in window"):
            self.command("Runtime.evaluate", {"expression": AXE.read_text()})
        found = self.driver.execute_async_script(
            "const [rules, done] = arguments;"
            "const only = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};"
            "axe.run(document, {resultTypes: ['violations'], ...only}).then(done)",
            list(rules),
        )
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]


def _program(name: str) -> str:
    path = os.pathsep.join([str(ROOT / ".cache" / "system" / "bin"), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    assert found is not None, f"{name} is missing: tests/setup-system.sh brings it"
    return found
