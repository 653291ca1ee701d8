"""The report page in a real Chromium: what it shows, how it is used by mouse, keyboard, phone and screen reader."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from bucket_loader.inventory.claims import Inventory
from bucket_loader.inventory.states import State
from bucket_loader.log import printable
from bucket_loader.report import page
from bucket_loader.report.charts import Times, charts, span
from bucket_loader.report.history import History, read
from bucket_loader.report.select import Selection
from tests import browser, weekend
from tests.waiting import until
from tests.world import World

needs_chromium = pytest.mark.skipif(browser.paths() is None, reason=browser.MISSING)


@pytest.fixture(scope="session")
def written(seen: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "report.html"
    said = seen.ok("dump_inventory.py", "--html", str(target))
    assert re.fullmatch(rf"wrote {re.escape(str(target))}: 3,000 rows, .* KiB, in .* s\n", said)
    return target


def opened(driver: Chrome, target: Path) -> Chrome:
    driver.get(target.as_uri())
    ready = "return document.documentElement.dataset.ready"
    until(lambda: driver.execute_script(ready) == "yes", 30, lambda: driver.get_log("browser"))
    return driver


@pytest.fixture(scope="module")
def driver(written: Path) -> Iterator[Chrome]:
    with browser.chromium() as made:
        yield opened(made, written)
        assert made.get_log("browser") == [], "no error, no warning, nothing asked of the network"


@pytest.fixture
def fresh(driver: Chrome, written: Path) -> Chrome:
    return opened(driver, written)


def found(driver: Chrome, words: str) -> None:
    """Wait for what the status line says."""

    def said() -> str:
        return str(driver.find_element(By.ID, "found").text)

    until(lambda: said() == words, 5, said, pause=0.02)


def cells(driver: Chrome, number: int) -> list[str]:
    return [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, f"#rows tbody td:nth-child({number})")]


def tree(driver: Chrome) -> list[dict[str, Any]]:
    """What a screen reader is told: role, name and properties of each element."""
    nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [node for node in nodes if not node.get("ignored")]


def named(nodes: list[dict[str, Any]], role: str) -> list[str]:
    return [node.get("name", {}).get("value", "") for node in nodes if node["role"]["value"] == role]


@needs_chromium
def test_search_is_that_of_the_rows(fresh: Chrome, inventory: Inventory) -> None:
    found(fresh, "3,000 files")
    box = fresh.find_element(By.ID, "search")
    box.send_keys("RUN07 too long")
    rows = [
        row
        for row in inventory.rows()
        if "run07" in row.filename and row.state is State.LOAD_FAILED and "too long" in row.loadreason
    ]
    assert rows
    found(fresh, f"{len(rows):,} of 3,000 files")
    assert cells(fresh, 1) == [row.filename for row in rows]
    box.clear()
    box.send_keys("nothing like this")
    found(fresh, "0 of 3,000 files")
    assert not fresh.find_element(By.ID, "next").is_enabled()


@needs_chromium
def test_pages_states_and_page_sizes(fresh: Chrome, inventory: Inventory) -> None:
    names = [" ".join(row.filename.split()) for row in inventory.rows()]
    assert [" ".join(cell.split()) for cell in cells(fresh, 1)[5:]] == names[5:50]
    fresh.find_element(By.ID, "next").click()
    assert fresh.find_element(By.ID, "page").text == "Page 2 of 60"
    assert cells(fresh, 1) == names[50:100]
    fresh.find_element(By.ID, "last").click()
    assert cells(fresh, 1) == names[2950:]
    assert not fresh.find_element(By.ID, "next").is_enabled()
    fresh.find_element(By.ID, "size").send_keys("200")
    assert fresh.find_element(By.ID, "page").text == "Page 15 of 15"
    fresh.find_element(By.ID, "state").send_keys("load failed")
    failed = [row for row in inventory.rows() if row.state is State.LOAD_FAILED]
    found(fresh, f"{len(failed)} of 3,000 files")
    assert cells(fresh, 8) == [row.loadreason for row in failed]


@needs_chromium
def test_sorting(fresh: Chrome, inventory: Inventory) -> None:
    heads = {head.text: head for head in fresh.find_elements(By.CSS_SELECTOR, "#rows thead th")}
    heads["size"].find_element(By.TAG_NAME, "button").click()
    largest = sorted(inventory.rows(), key=lambda row: -row.size)[:50]
    assert cells(fresh, 1) == [" ".join(row.filename.split()) for row in largest]
    assert heads["size"].get_attribute("aria-sort") == "descending"
    heads["size"].find_element(By.TAG_NAME, "button").click()
    assert heads["size"].get_attribute("aria-sort") == "ascending"
    heads["file"].find_element(By.TAG_NAME, "button").click()
    assert heads["size"].get_attribute("aria-sort") is None
    assert cells(fresh, 1)[0] == "<script>alert(1)</script>.h5"


@needs_chromium
def test_what_a_key_holds_is_text_and_nothing_else(fresh: Chrome) -> None:
    assert cells(fresh, 1)[:4] == ["<script>alert(1)</script>.h5", *weekend.NASTY[1:4]]
    count = "return document.querySelectorAll(arguments[0]).length"
    assert fresh.execute_script(count, "script") == 2
    assert fresh.execute_script(count, "img, b, [onerror]") == 0
    assert "<img src=x onerror=alert(N)>" in fresh.find_element(By.CLASS_NAME, "failures").text


@needs_chromium
def test_by_keyboard_alone(fresh: Chrome) -> None:
    def active() -> str:
        return str(fresh.execute_script("return document.activeElement.id || document.activeElement.textContent"))

    def press(*keys: str) -> None:
        fresh.switch_to.active_element.send_keys(*keys)

    fresh.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert active() == "To the table of files"
    press(Keys.ENTER)
    fresh.find_element(By.ID, "files").send_keys(Keys.TAB)
    assert active() == "search"
    press("run07")
    found(fresh, "75 of 3,000 files")
    for _ in range(20):
        if active() == "next":
            break
        press(Keys.TAB)
    assert active() == "next"
    press(Keys.ENTER)
    assert fresh.find_element(By.ID, "page").text == "Page 2 of 2"
    # a button that has no further page is disabled and gives its focus up; the search box shows the ring
    fresh.find_element(By.ID, "search").send_keys("x")
    ring = fresh.execute_script("return getComputedStyle(document.querySelector(':focus-visible')).outlineStyle")
    assert ring == "solid"


@needs_chromium
def test_what_a_screen_reader_is_told(fresh: Chrome) -> None:
    nodes = tree(fresh)
    assert named(nodes, "heading") == [
        fresh.title.partition(":")[0], "States", "How it went", "Failures by reason", "Files",
    ]  # fmt: skip
    assert "main" in {node["role"]["value"] for node in nodes} and "navigation" in {
        node["role"]["value"] for node in nodes
    }
    charts_named = [name for role in ("image", "img") for name in named(nodes, role)]
    assert [name.split(" Of ")[0].split(" Files ")[0] for name in charts_named][:1] == ["Progress"]
    assert len(charts_named) == 4
    for role in ("searchbox", "combobox", "button"):
        assert named(nodes, role) and all(named(nodes, role)), f"each {role} has a name"
    assert len(fresh.find_elements(By.CSS_SELECTOR, "figure details table")) == 4, "each chart is a table, too"


@needs_chromium
@pytest.mark.parametrize("dark", [False, True])
def test_contrast_in_both_colour_schemes(written: Path, dark: bool) -> None:
    with browser.chromium(dark=dark) as one:
        opened(one, written)
        for selector in ("h1", ".faint", ".count", "#rows td", "summary", "svg text", "button"):
            text, back = one.execute_script(
                """const e = document.querySelector(arguments[0]);
                let b = e; while (b && getComputedStyle(b).backgroundColor === "rgba(0, 0, 0, 0)") b = b.parentElement;
                const s = getComputedStyle(e);
                return [e instanceof SVGElement ? s.fill : s.color, getComputedStyle(b).backgroundColor]""",
                selector,
            )
            assert contrast(text, back) >= 4.5, f"{selector}: {text} on {back}"
        assert (luminance(back) < 0.2) is dark


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of the accessibility guidelines, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@needs_chromium
def test_on_a_phone_nothing_is_wider_than_the_screen(written: Path) -> None:
    with browser.chromium(width=390, height=844) as phone:
        opened(phone, written)
        assert phone.execute_script("return document.documentElement.scrollWidth") <= 390
        assert named(tree(phone), "row"), "cards on the screen are still rows of a table for a screen reader"
        sizes = phone.execute_script(
            "return [...document.querySelectorAll('svg text')].map((e) => e.getBoundingClientRect().height)"
        )
        assert min(sizes) >= 9


@needs_chromium
def test_a_hundred_thousand_rows_are_quick(inventory: Inventory, tmp_path: Path) -> None:
    many = History()
    one = read(inventory, Selection())
    many.names = [f"{name}-{copy}" for copy in range(34) for name in one.names][:100_000]
    many.pods, many.reasons = one.pods, one.reasons
    many.columns = {name: np.tile(values, 34)[:100_000] for name, values in one.columns.items()}
    text, _ = page.render(inventory, Selection(), "/home/x/inventory.h5")
    data = page._packed(many)
    text = re.sub(r'(id="data">)[^<]*', lambda match: match[1] + data, text)
    target = tmp_path / "many.html"
    target.write_text(text, encoding="utf-8")
    assert target.stat().st_size < 6e6
    with browser.chromium() as driver:
        began = time.monotonic()
        opened(driver, target)
        found(driver, "100,000 files")
        assert time.monotonic() - began < 10
        took = driver.execute_script(
            """const began = performance.now();
            const box = document.getElementById("search");
            box.value = "member_0002999";
            document.getElementById("state").dispatchEvent(new Event("change"));
            return performance.now() - began"""
        )
        found(driver, "33 of 100,000 files")
        assert took < 1000, f"a search took {took:.0f} ms"


def test_the_file_needs_no_network_and_lets_only_its_own_script_run(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)\s*=\s*[\"'](?!#|data:)", text)
    assert "@import" not in text and "url(" not in text
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy and "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    assert text.count("<script") == 2, "no key and no reason made one"


def test_an_empty_inventory_has_a_page(world: World, tmp_path: Path) -> None:
    world.make_inventory()
    target = tmp_path / "empty.html"
    assert "0 rows" in world.ok("dump_inventory.py", "--html", str(target))
    assert "Nothing failed." in target.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_one_line(seen: World, tmp_path: Path) -> None:
    done = seen.run("dump_inventory.py", "--html", str(tmp_path / "no" / "report.html"))
    assert done.returncode == 1
    assert done.stderr == f"cannot write {tmp_path}/no/report.html: No such file or directory\n"


def test_the_data_is_that_of_the_rows(inventory: Inventory) -> None:
    data = json.loads(gzip.decompress(base64.b64decode(page._packed(read(inventory, Selection(sort="size"))))))
    known = sorted(inventory.rows(), key=lambda row: (-row.size, -row.index))
    assert data["size"] == [row.size for row in known]
    assert data["file"] == [printable(row.filename) for row in known], "what a terminal would obey is written out"
    assert [data["reasons"][number] for number in data["reason"]] == [
        row.loadreason if row.state is State.LOAD_FAILED else row.diffresult for row in known
    ]
    assert data["load"] == [row.loaddone - row.loadstart if row.loaddone else -1 for row in known]


def test_the_charts_numbers(inventory: Inventory, now: int) -> None:
    history = read(inventory, Selection())
    made = {chart.name: chart for chart in charts(history, now)}
    assert set(made) == {"progress", "pace", "sizes", "pods"}
    verified = sum(row.state is State.VERIFIED for row in inventory.rows())
    assert made["progress"].rows[-1][2] == f"{verified:,}"
    loads = [row for row in inventory.rows() if row.loaddone and row.state is not State.LOAD_FAILED]
    assert sum(int(row[1].replace(",", "")) for row in made["sizes"].rows) == len(loads)
    pods = {row[0]: int(row[1].replace(",", "")) for row in made["pods"].rows}
    everyone = [row for row in inventory.rows() if row.loaddone]
    assert pods["hsds-bucket-loader-7d9c6f-3"] == sum(row.loadpodname.endswith("-3") for row in everyone)
    times = span(history, now)
    assert isinstance(times, Times) and times.start == min(row.loadstart for row in everyone)
