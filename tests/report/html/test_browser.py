"""The page in a real browser: headless Chromium, from a file."""

import os
import re
import shutil

import pytest

from selfdistill.report import PICTURES, write
from tests.helpers.written_studies import measured
from tests.helpers.written_studies import write as written

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright; make setup installs it")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine; apt-get install chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
THEMES = ("light", "dark")
WIDTHS = (360, 390, 768, 1280, 1400)

CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const linear = (c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.slice(0, 3).map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = channels(getComputedStyle(each).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    throw new Error("the page has no background");
  };
  const says = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const every = [...document.body.querySelectorAll("*")];
  const shown = every.filter((each) => says(each) && each.getClientRects().length);
  return shown.filter((each) => !["SCRIPT", "STYLE"].includes(each.tagName)).map((each) => {
    const style = getComputedStyle(each);
    const ink = each instanceof SVGElement ? style.fill : style.color;
    const [high, low] = [light(channels(ink)), light(behind(each))].sort((a, b) => b - a);
    return [(high + 0.05) / (low + 0.05), each.tagName, each.textContent.trim().slice(0, 30)];
  });
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study = written(folder)
    measured(study, {"pgd": 200})
    write([study], folder, PICTURES[:1])
    return (folder / "report.html").as_uri()


@pytest.fixture
def visit(browser, address):
    """Open the page; at the end nothing may have been fetched or complained of."""
    visits, wrong = [], []

    def opened(width=1280, theme="light", **options):
        visits.append(browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme, **options))
        page = visits[-1].new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if request.url != address else None)
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.goto(address)
        return page

    yield opened
    for each in visits:
        each.close()
    assert wrong == []


def methods(page):
    return page.locator("table.sortable").first.locator("tbody th").all_inner_texts()


def column(page, number):
    return page.locator("table.sortable").first.locator(f"tbody tr td:nth-child({number})").all_inner_texts()


def number(text):
    return float(text.removeprefix("<")) if text else None


def head(page, name):
    """The head of a column of the first table, by how its name begins."""
    return page.locator("table.sortable th[data-sorts]").filter(has_text=re.compile(f"^{re.escape(name)}")).first


def test_a_click_sorts_and_another_reverses_the_order(visit):
    page = visit()
    first = methods(page)
    button = head(page, "top-1 %").get_by_role("button")
    button.click()
    assert head(page, "top-1 %").get_attribute("aria-sort") == "descending"
    down = [float(text.split()[0]) for text in column(page, 2)]
    assert down == sorted(down, reverse=True)
    button.click()
    assert head(page, "top-1 %").get_attribute("aria-sort") == "ascending"
    assert [float(text.split()[0]) for text in column(page, 2)] == down[::-1]
    head(page, "method").get_by_role("button").click()
    assert head(page, "top-1 %").get_attribute("aria-sort") is None
    assert methods(page) == sorted(first)


def test_the_keyboard_sorts_and_numbers_are_numbers(visit):
    page = visit()
    button = head(page, "p").get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    down = [number(text) for text in column(page, 5)]
    assert down == [*sorted(down[:-1], reverse=True), None]
    page.keyboard.press("Space")
    assert [number(text) for text in column(page, 5)] == [*down[-2::-1], None]
    head(page, "against").get_by_role("button").focus()
    for _ in range(2):
        page.keyboard.press("Enter")
        assert methods(page)[-1] == "ce()"  # it has no difference, and stays last either way


def test_metrics_sort_by_value(visit):
    page = visit()
    table = page.get_by_role("region", name="Confidence")
    head = table.locator("thead th").nth(2)
    head.get_by_role("button", name="adaptive ECE %").click()
    assert head.get_attribute("aria-sort") == "descending"
    cells = table.locator("tbody tr td:nth-child(3)")
    down = [float(text.split()[0]) for text in cells.all_inner_texts()]
    assert down == sorted(down, reverse=True)
    assert len(down) == 8
    assert table.locator("tbody th").first.inner_text() == "scd()"
    assert cells.first.locator(".badge").inner_text() == "worse"  # in words, not by colour alone
    cells.first.locator("summary").click()
    assert not cells.first.locator(".badge").is_visible()
    assert cells.first.get_by_text("verdict worse").is_visible()
    assert "lower is better" in head.inner_text()


def test_folded_sections_open_by_keyboard(visit):
    page = visit(390)
    for words in ("Corruptions by severity and kind", "Accuracy by class"):
        table = page.get_by_role("region", name=words, include_hidden=True)
        assert not table.is_visible()
        page.locator("summary", has_text=words).focus()
        page.keyboard.press("Enter")
        assert table.is_visible()
        first = table.locator("tbody th").first
        before = first.bounding_box()["x"]
        table.evaluate("(box) => { box.scrollLeft = 200; }")
        assert table.evaluate("(box) => box.scrollLeft") == 200
        assert first.bounding_box()["x"] == before


def test_the_first_tab_offers_a_skip_link(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_cell_opens_by_keyboard_and_leads_to_its_run(visit):
    page = visit()
    summary = page.locator("table.sortable summary", has_text="±").first
    summary.focus()
    page.keyboard.press("Enter")
    link = page.get_by_role("link", name="seed 3").first
    assert link.is_visible()
    target = link.get_attribute("href")[1:]
    assert not page.locator(f"[id='{target}']").is_visible()
    link.focus()
    page.keyboard.press("Enter")
    page.locator(f"[id='{target}']").wait_for(state="visible")


def test_everything_that_opens_can_be_reached_by_tab(visit):
    page = visit()
    every = page.evaluate("document.querySelectorAll('summary, button, a[href]').length")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    seen = set()
    for _ in range(3 * every):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "[...document.querySelectorAll('summary, button, a[href]')].indexOf(document.activeElement)"
        )
        seen.add(found)
        if len(seen - {-1}) == every:
            break
    assert seen >= set(range(every))


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen(visit, width):
    page = visit(width)
    for opened in (False, True):
        page.evaluate(
            f"document.querySelectorAll('details').forEach((each) => {{ each.open = {str(opened).lower()}; }})"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    narrow = page.locator("svg.scatter.narrow").is_visible()
    assert narrow != page.locator("svg.scatter.wide").is_visible()
    assert narrow == (width < 700)


def test_the_first_column_stays_while_the_table_scrolls(visit):
    page = visit(360)
    first = page.locator("table.sortable tbody th").first
    before = first.bounding_box()["x"]
    page.locator(".scroll").first.evaluate("(box) => { box.scrollLeft = 200; }")
    assert page.locator(".scroll").first.evaluate("(box) => box.scrollLeft") == 200
    assert first.bounding_box()["x"] == before


@pytest.mark.parametrize("theme", THEMES)
def test_text_has_enough_contrast(visit, theme):
    page = visit(theme=theme)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 300
    assert [each for each in found if each[0] < 4.5] == []


def test_light_and_dark_differ(visit):
    paper = [
        visit(theme=theme).evaluate("getComputedStyle(document.documentElement).backgroundColor") for theme in THEMES
    ]
    assert paper[0] != paper[1]


def test_reduced_motion(visit):
    page = visit(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_a_command_is_copied_whole(visit, address):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy", exact=True).last.click()
    page.get_by_role("button", name="Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("selfdistill compare --methods 'ce()' 'label_smoothing()'")
    assert "'<img src=x onerror=alert(1)>'" in copied
    assert copied.endswith(os.path.dirname(address.removeprefix("file://")))


def test_the_page_is_complete_without_scripts(visit):
    page = visit(java_script_enabled=False)
    assert len(methods(page)) == 8
    assert page.locator("table.sortable button").count() == 0
