"""The page in a real browser: it shows the content of the files, and its controls work."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import rasterio

from seg.evaluation.report.colours import COMMISSION, OMISSION
from seg.labels import CROPLAND, LABEL_COLOURS, OTHER
from support.report_browser import PHONE, Browser
from support.report_samples import AREA, Report

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium, of the extra `test`")
PROGRAMS = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
pytestmark = pytest.mark.skipif(None in PROGRAMS.values(), reason="needs chromium and chromedriver on the PATH")

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
RIGHT = "\ue014"
"""WebDriver's code of the arrow key."""

FIGURES = """return [...document.querySelectorAll("data")].map((one) =>
  [one.dataset.path, one.value, one.textContent]);"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS["chromium"]
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With a path, selenium does not look for a driver to download.
    driver = webdriver.Chrome(service=Service(executable_path=PROGRAMS["chromedriver"]), options=options)
    yield Browser(driver)
    driver.quit()


@pytest.fixture
def page(browser: Browser, report: Report) -> Browser:
    browser.open(report)
    return browser


def test_console_is_empty_and_the_page_loads_nothing(page: Browser, report_zh: Report) -> None:
    page.click("button.show")
    page.open(report_zh, dark=True)
    names = page.run('return performance.getEntriesByType("resource").map((entry) => entry.name.slice(0, 5))')
    assert set(names) <= {"data:", "blob:"}
    assert page.driver.get_log("browser") == []


def test_numbers_equal_the_json(page: Browser, report: Report) -> None:
    documents: dict[str, Any] = {"accuracy": report.accuracy, "area": AREA}
    figures = page.run(FIGURES)
    for path, value, text in figures:
        found: Any = documents
        for key in path.split("."):
            found = found[int(key)] if isinstance(found, list) else found[key]
        assert float(value) == found, path
        digits = text.replace(",", "").replace("\N{MINUS SIGN}", "-").replace("\N{NO-BREAK SPACE}%", "")
        rounding = 0.5 * 10.0 ** -len(digits.partition(".")[2])
        percent = 100 if text.endswith("%") else 1
        assert abs(float(digits) - percent * found) <= rounding + 1e-9, path
    assert "accuracy.scores.iou.value" in {path for path, _, _ in figures}
    assert json.loads(page.run('return document.getElementById("accuracy").textContent')) == report.accuracy


def test_map_shows_the_pixels_of_the_prediction(page: Browser, report: Report) -> None:
    page.scene("north")
    page.opacity(100)
    places = [(column, row) for column in range(3, 280, 23) for row in range(1, 300, 23)]
    expected = [report.prediction[row, column] for column, row in places]
    shown = page.colours(places)
    for place, label, colour in zip(places, expected, shown, strict=True):
        if label in (OTHER, CROPLAND):
            assert colour == LABEL_COLOURS[label], place
    assert {OTHER, CROPLAND} <= set(expected)


def test_each_layer_shows_its_colours_and_its_legend(page: Browser, report: Report) -> None:
    page.scene("north")
    page.opacity(100)
    wrong = [(OTHER, CROPLAND, OMISSION), (CROPLAND, OTHER, COMMISSION)]
    for mapped, label, colour in wrong:
        rows, columns = ((report.prediction == mapped) & (report.reference == label)).nonzero()
        place = (int(columns[0]), int(rows[0]))
        page.click('[value="prediction"]')
        assert page.colours([place]) == [LABEL_COLOURS[mapped]]
        page.click('[value="reference"]')
        assert page.colours([place]) == [LABEL_COLOURS[label]]
        page.click('[value="errors"]')
        assert page.colours([place]) == [colour]
    assert page.run('return document.querySelector(".legend [data-layer=errors]").checkVisibility()')
    page.click('[value="probability"]')
    assert page.colours([place]) not in ([colour], [LABEL_COLOURS[label]])
    assert not page.run('return document.querySelector(".legend [data-layer=errors]").checkVisibility()')
    page.click('[value="none"]')
    with_image = page.colours([place])
    page.click("#layer-image")
    assert page.colours([place]) == [(0, 0, 0, 0)] != with_image


def test_opacity_mixes_layer_and_imagery(page: Browser) -> None:
    place = [(25, 30)]
    page.opacity(100)
    layer = page.colours(place)[0]
    page.opacity(0)
    imagery = page.colours(place)[0]
    page.opacity(50)
    mixed = page.colours(place)[0]
    assert all(abs(2 * both - one - other) <= 3 for both, one, other in zip(mixed, layer, imagery, strict=True))
    assert layer != imagery
    assert page.run('return document.getElementById("opacity-value").textContent') == "50\N{NO-BREAK SPACE}%"


def test_keys_move_zoom_and_choose(page: Browser) -> None:
    start = page.canvas
    page.press("+")
    assert float(page.canvas["scale"]) == pytest.approx(1.5 * float(start["scale"]))
    page.press(RIGHT)
    assert float(page.canvas["x"]) > float(start["x"])
    assert "reference:" in page.run('return document.getElementById("readout").textContent')
    page.press("0")
    assert [page.canvas[name] for name in ("x", "scale")] == [start["x"], start["scale"]]
    page.press("3", "i")
    assert (page.canvas["overlay"], page.canvas["image"]) == ("errors", "false")


def test_readout_shows_position_and_values(page: Browser, report: Report) -> None:
    page.scene("north")
    page.press("+", "+")
    column, row = (int(float(page.canvas[name])) for name in ("x", "y"))
    text = page.run('return document.getElementById("readout").textContent')
    states = {OTHER: "other", CROPLAND: "cropland"}
    assert f"{500_000 + 10 * column + 5:.1f}, {5_000_000 - 10 * row - 5:.1f} (EPSG:32633)" in text
    assert f"mapped: {states.get(int(report.prediction[row, column]), 'no value')}" in text
    assert re.fullmatch(r"[125]0* k?m", page.run('return document.getElementById("scalebar").innerText'))
    with rasterio.open(report.inputs.probability / "north.tif") as dataset:
        assert f"probability: {dataset.read(1)[row, column]}\N{NO-BREAK SPACE}%" in text


def test_wheel_scrolls_the_page_until_the_map_is_focused(page: Browser) -> None:
    wheel = """const canvas = document.getElementById("map-canvas");
    const event = new WheelEvent("wheel", {deltaY: -240, clientX: 400, clientY: 400, cancelable: true});
    canvas.dispatchEvent(event); return event.defaultPrevented;"""
    before = page.canvas["scale"]
    assert not page.run(wheel)
    assert page.canvas["scale"] == before
    page.run('document.getElementById("map-canvas").focus()')
    assert page.run(wheel)
    page.wait()
    assert float(page.canvas["scale"]) == pytest.approx(2 * float(before))


def test_worst_window_is_shown_on_the_map(page: Browser, report: Report) -> None:
    worst = report.accuracy["worst"][0]
    page.click("button.show")
    assert (page.canvas["scene"], page.canvas["overlay"]) == (worst["scene"], "errors")
    assert float(page.canvas["x"]) == worst["column"] + worst["width"] / 2
    assert page.run("return document.activeElement.id") == "map-canvas"


def test_table_sorts_by_a_column(page: Browser) -> None:
    read = 'return [...document.querySelectorAll("#scenes tbody tr")].map((row) => Number(row.cells[1].textContent))'
    button = "#scenes th:nth-child(2) .sorter"
    page.click(button)
    rising = page.run(read)
    page.click(button)
    assert page.run(read) == rising[::-1] == sorted(rising, reverse=True)
    assert page.run('return document.querySelector("#scenes th:nth-child(2)").ariaSort') == "descending"


def test_theme_follows_the_system_and_the_button(browser: Browser, report: Report) -> None:
    background = "return getComputedStyle(document.body).backgroundColor"
    browser.open(report, dark=False)
    light = browser.run(background)
    browser.click("#theme")
    dark = browser.run(background)
    assert dark != light
    browser.open(report, dark=True)
    assert browser.run(background) == dark
    assert browser.run('return document.getElementById("theme").getAttribute("aria-pressed")') == "true"


def test_page_on_a_phone_does_not_scroll_sideways(browser: Browser, report: Report, report_zh: Report) -> None:
    for one in (report, report_zh):
        browser.open(one, size=PHONE)
        assert browser.run("return document.documentElement.scrollWidth") == PHONE[0]


def test_keyboard_focus_is_visible(page: Browser) -> None:
    from selenium.webdriver.common.keys import Keys

    focused = "const one = document.activeElement; return [one.id || one.className, getComputedStyle(one).outlineStyle]"
    seen = {}
    for _ in range(30):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        name, outline = page.run(focused)
        seen[name] = outline
    assert {"skip", "theme", "map-canvas", "zoom-in", "scene", "layer-image", "opacity"} <= set(seen)
    assert "none" not in seen.values()


def test_chinese_page_declares_its_language_and_shows_chinese_text(browser: Browser, report_zh: Report) -> None:
    browser.open(report_zh)
    assert browser.run("return document.documentElement.lang") == "zh-Hans"
    browser.press("+")
    assert "分类\N{FULLWIDTH COLON}" in browser.run('return document.getElementById("readout").textContent')
