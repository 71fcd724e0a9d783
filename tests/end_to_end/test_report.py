"""The report in a browser: nothing leaves it or complains, a click and the keyboard show neighbours, axe agrees."""

import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from pipelines.command import main as embed_images
from pipelines.report.command import main as report_images
from tests.conftest import sample_image

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]
LIGHT = ["--weights", "random", "--backbone", "MobileNet", "--backbone_kwargs", '{"alpha": 0.25}', "--image_size", "32"]
IMAGES = 12


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The report of two runs: images, one twice, one broken, one gone since, with names that are no good HTML."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "photos").mkdir()
    for i in range(IMAGES):
        sample_image(i).save(folder / "photos" / f'{i}<b>"{i}".jpg', quality=92)
    run = ["--input", str(folder / "photos"), "--output", str(folder / "out"), "--existing", "update", *LIGHT]
    assert embed_images(run) == 0
    shutil.copy(folder / "photos" / '0<b>"0".jpg', folder / "photos" / "again.jpg")
    (folder / "photos" / "broken.jpg").write_text("none")
    assert embed_images(run) == 0
    (folder / "photos" / f'{IMAGES - 1}<b>"{IMAGES - 1}".jpg').unlink()
    assert report_images(["--embeddings", str(folder / "out"), "--out", str(folder / "report.html")]) == 0
    return folder / "report.html"


@pytest.fixture
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


class Opened:
    """The page, with what it asked for and said."""

    def __init__(self, browser: Any, report: pathlib.Path, **options: Any) -> None:
        self.page = browser.new_page(**options)
        self.requests: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(report.as_uri())
        for chart in ("map", "changes", "sides", "stages"):
            self.page.wait_for_selector(f"#{chart} svg")

    @property
    def shown(self) -> list[str]:
        """The panels of neighbours that can be seen."""
        ids: list[str] = self.page.eval_on_selector_all(
            ".panel", "all => all.filter(one => one.offsetParent).map(one => one.id)"
        )
        return ids


def test_nothing_leaves_the_page_and_nothing_complains(browser: Any, report: pathlib.Path) -> None:
    opened = Opened(browser, report)
    assert opened.said == []
    assert {url for url in opened.requests if not url.startswith("data:")} == {report.as_uri()}
    # What its policy forbids, it cannot do.
    script = "document.head.appendChild(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))"
    opened.page.evaluate(script)
    assert opened.page.evaluate("window.ran") is None


def test_a_click_on_a_point_shows_its_neighbours_and_hovering_its_picture(browser: Any, report: pathlib.Path) -> None:
    opened = Opened(browser, report)
    assert opened.shown == []
    points = opened.page.locator("#map .role-mark path")
    assert points.count() == IMAGES + 1
    points.nth(5).hover(force=True)
    opened.page.wait_for_selector("#vg-tooltip-element.visible img[src^='data:image/jpeg']")
    points.nth(5).click(force=True)
    opened.page.wait_for_url("**#picture-*")
    (panel,) = opened.shown
    assert opened.page.url.endswith(f"#{panel}")
    assert opened.page.locator(f"#{panel} ol figure").count() == 5
    assert opened.said == []


def test_the_keyboard_reaches_every_picture(browser: Any, report: pathlib.Path) -> None:
    opened = Opened(browser, report)
    opened.page.locator("#atlas summary").focus()
    opened.page.keyboard.press("Enter")
    reached = []
    for _ in range(IMAGES + 1):
        opened.page.keyboard.press("Tab")
        reached.append(opened.page.evaluate("document.activeElement.getAttribute('href')"))
    assert len(set(reached)) == IMAGES + 1
    opened.page.keyboard.press("Enter")
    assert opened.shown == [reached[-1][1:]]
    # The next stop is in the panel that was chosen.
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.closest('.panel')?.id") == opened.shown[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(width: int, scheme: str, browser: Any, report: pathlib.Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    opened = Opened(browser, report, viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened.page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    opened.page.locator("#odd a").first.click()
    found = axe.Axe().run(opened.page).response
    assert len(found["passes"]) > 20
    assert [
        (one["id"], one["impact"], node["target"], node["failureSummary"])
        for one in found["violations"]
        for node in one["nodes"]
    ] == []


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_is_no_wider_than_its_window(width: int, browser: Any, report: pathlib.Path) -> None:
    opened = Opened(browser, report, viewport={"width": width, "height": 800})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_charts_is_that_of_the_page(scheme: str, browser: Any, report: pathlib.Path) -> None:
    opened = Opened(browser, report, color_scheme=scheme)
    colors = opened.page.eval_on_selector_all(
        "body, .chart svg text",
        "all => all.map(one => getComputedStyle(one)[one === document.body ? 'color' : 'fill'])",
    )
    assert len(colors) > 10
    assert len(set(colors)) == 1
