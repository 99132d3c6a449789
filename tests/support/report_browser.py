"""Headless browser for tests of the report's page."""

import time
from collections.abc import Callable
from typing import Any

from support.report_samples import Report

DESKTOP, PHONE = (1280, 900), (360, 740)

READ_CANVAS = """
const canvas = document.getElementById("map-canvas"), ratio = canvas.width / canvas.clientWidth;
const [x, y, scale] = ["x", "y", "scale"].map((name) => Number(canvas.dataset[name]));
return arguments[0].map(([column, row]) => [...canvas.getContext("2d").getImageData(
  Math.floor(((column + 0.5 - x) * scale + canvas.clientWidth / 2) * ratio),
  Math.floor(((row + 0.5 - y) * scale + canvas.clientHeight / 2) * ratio), 1, 1).data]);
"""
"""Script that returns the colours of the canvas at the centres of scene pixels."""


class Browser:
    """A browser that shows a report."""

    def __init__(self, driver: Any) -> None:  # noqa: ANN401 - selenium may be absent
        self.driver = driver

    def open(self, report: Report, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
        self.prefer(dark)
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(report.url)
        self.wait()

    def prefer(self, dark: bool) -> None:
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the script returns
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, f"never: {what}"
            time.sleep(0.02)

    def wait(self) -> None:
        self.until(lambda: self.canvas["state"] == "ready", "a map that is drawn")

    @property
    def canvas(self) -> dict[str, str]:
        return dict(self.run('return {...document.getElementById("map-canvas").dataset}'))

    def colours(self, pixels: list[tuple[int, int]]) -> list[tuple[int, ...]]:
        self.wait()
        return [tuple(colour) for colour in self.run(READ_CANVAS, pixels)]

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)
        self.wait()

    def press(self, *keys: str) -> None:
        element = self.driver.find_element("id", "map-canvas")
        self.run("arguments[0].focus()", element)
        element.send_keys(*keys)
        self.wait()

    def opacity(self, percent: int) -> None:
        script = """const slider = document.getElementById("opacity"); slider.value = arguments[0];
        slider.dispatchEvent(new Event("input", {bubbles: true}));"""
        self.run(script, percent)
        self.wait()

    def scene(self, name: str) -> None:
        script = """const picker = document.getElementById("scene");
        picker.value = [...picker.options].findIndex((option) => option.text === arguments[0]);
        picker.dispatchEvent(new Event("change"));"""
        self.run(script, name)
        self.wait()
