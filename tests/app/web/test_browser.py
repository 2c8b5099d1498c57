"""Tests of the page in a real browser, headless."""

import re
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from nircolor.app.web import Settings, create_app
from tests.app.command_line import gray_png
from tests.app.web.conftest import by_command_line, files_by_command_line
from tests.imagery.imagery_samples import noise, save, save_envi

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="needs nircolor[dev]")
import uvicorn  # noqa: E402

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@contextmanager
def serving(**settings):
    """Run a server in a thread; yield its address."""
    server = uvicorn.Server(uvicorn.Config(create_app(Settings(**settings)), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def address():
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    # the browser keeps its files where those of the server are not looked for
    with tempfile.TemporaryDirectory() as folder, sync_api.sync_playwright() as playwright:
        options = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
        ]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=options, downloads_path=folder)
        yield running
        running.close()


@pytest.fixture
def open_page(browser, address):
    """Return a function that opens the page; it may cause no error and no request to another host."""
    contexts, requests, problems = [], [], []

    def make(viewport=DESKTOP, address=address, **options):
        context = browser.new_context(viewport=viewport, accept_downloads=True, **options)
        context.set_default_timeout(20_000)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console", lambda message: problems.append(message.text) if "Policy" in message.text else None
        )
        page.goto(address)
        contexts.append(context)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not problems
    assert requests
    assert [url for url in requests if not url.startswith(("http://127.0.0.1:", "blob:", "data:"))] == []


def add(page, *paths):
    """Add files, and wait until there is nothing left to do."""
    page.locator("body[data-ready]").wait_for()
    page.set_input_files("#files", [str(path) for path in paths])
    settle(page)


def settle(page):
    page.locator("#list li").first.wait_for()
    sync_api.expect(page.locator("#list progress:visible")).to_have_count(0, timeout=30_000)


def download(page):
    with page.expect_download() as found:
        page.click("#download")
    return found.value


def cut(page):
    """Position of the line between the images, in percent."""
    style = page.locator("#compare").get_attribute("style")
    return float(re.search(r"--cut: ([\d.]+)%", style)[1])


def test_upload_compare_and_download(open_page, photograph, tmp_path):
    page = open_page()
    assert page.get_by_role("heading", name="Colour for near-infrared images").is_visible()
    add(page, photograph)
    assert page.locator("#list .state").inner_text() == "done, scene"
    assert "56 × 40 px · 1 band · uint16 GTiff" in page.locator("#facts").inner_text()
    for name in ("before", "after"):
        image = page.locator(f"#{name}")
        assert image.is_visible()
        assert image.evaluate("image => image.complete && image.naturalWidth") == 56
    box = page.locator("#compare").bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + box["height"] / 2)
    assert abs(cut(page) - 25) < 1
    result = download(page)
    assert result.suggested_filename == "night.tif"
    assert Path(result.path()).read_bytes() == by_command_line(photograph, tmp_path / "colour")


def test_models_that_fit_come_first_and_options_count(open_page, photograph, tmp_path):
    page = open_page()
    add(page, photograph)
    groups = page.locator("#model optgroup")
    assert groups.nth(0).get_attribute("label") == "Fit this image"
    assert groups.nth(0).locator("option").all_inner_texts() == ["scene", "satellite-1band"]
    assert groups.nth(1).locator("option").all_inner_texts() == ["satellite"]
    page.click("summary")
    page.select_option("[name=format]", "png")
    page.fill("[name=scale]", "40000")
    page.click("#run")
    settle(page)
    result = download(page)
    assert result.suggested_filename == "night.png"
    expected = by_command_line(photograph, tmp_path / "colour", scale=40000, output_format="png")
    assert Path(result.path()).read_bytes() == expected


def test_the_confidence_is_shown_and_downloaded(open_page, photograph, tmp_path):
    page = open_page()
    add(page, photograph)
    assert not page.locator("#views").is_visible()
    page.get_by_role("checkbox").check()
    page.click("#run")
    page.locator("#views").wait_for()
    colour, sure = files_by_command_line(photograph, tmp_path / "colour", confidence=True)
    assert Path(download(page).path()).read_bytes() == colour
    with page.expect_download() as found:
        page.click("#downloadconfidence")
    assert found.value.suggested_filename == "night_confidence.tif"
    assert Path(found.value.path()).read_bytes() == sure
    assert "/after.jpg" in page.locator("#after").get_attribute("src")
    page.locator("#views").get_by_text("Confidence").click()
    assert "/confidence.jpg" in page.locator("#after").get_attribute("src")
    assert page.locator("#right").inner_text() == "Confidence"
    # a model that does not estimate its errors
    page.select_option("#model", "satellite-1band")
    assert page.locator("#confidence").is_disabled()
    page.get_by_text("satellite-1band does not estimate its errors").wait_for()


def test_a_header_with_its_data_beside_other_images_and_a_bad_file(open_page, tmp_path):
    header = save_envi(tmp_path, noise(1, 30, 40, "uint16"))
    bad = tmp_path / "bad.png"
    bad.write_text("<VRTDataset/>")
    page = open_page()
    world = tmp_path / "a.pgw"
    world.write_text("10\n0\n0\n-10\n500000\n5000000\n")
    add(page, header.with_suffix(".raw"), bad, world, header, gray_png(tmp_path / "a.png"))
    names = page.locator("#list .title").all_inner_texts()
    states = dict(zip(names, page.locator("#list .state").all_inner_texts(), strict=True))
    assert states == {"cube.hdr": "done, scene", "bad.png": "cannot be read", "a.png": "done, scene"}
    page.get_by_role("button", name="bad.png cannot be read").click()
    assert page.get_by_role("alert").inner_text().startswith("bad.png: VRT files are not read")
    assert not page.locator("#download").is_visible()
    with page.expect_download() as found:
        page.click("#all")
    assert found.value.suggested_filename == "nircolor.zip"


def test_an_error_names_the_option_and_the_page_leads_to_it(open_page, tmp_path):
    page = open_page()
    add(page, save(tmp_path / "two.tif", noise(2, 30, 40, "uint16")))
    assert "--bands nir=2" in page.get_by_role("alert").inner_text()
    page.click("#fix")
    assert page.evaluate("document.activeElement.name") == "bands"
    page.keyboard.type("nir=2")
    page.keyboard.press("Enter")
    settle(page)
    assert page.locator("#list .state").inner_text() == "done, scene"


def test_drop(open_page, photograph):
    page = open_page()
    page.locator("body[data-ready]").wait_for()
    dropped = page.evaluate_handle(
        """content => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], "dropped.tif"));
            return transfer;
        }""",
        list(photograph.read_bytes()),
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": dropped})
    assert page.get_by_text("Drop to add").is_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": dropped})
    settle(page)
    assert not page.get_by_text("Drop to add").is_visible()
    assert page.locator("#list").inner_text().split("\n")[:2] == ["dropped.tif", "done, scene"]


def test_two_users_at_once(open_page, tmp_path):
    paths = [gray_png(tmp_path / name / f"{name}.png", seed=seed) for seed, name in enumerate("ab")]
    pages = [open_page(), open_page()]
    for page, path in zip(pages, paths, strict=True):
        page.locator("body[data-ready]").wait_for()
        page.set_input_files("#files", str(path))
    for page, path in zip(pages, paths, strict=True):
        settle(page)
        assert page.locator("#list .title").all_inner_texts() == [path.name]
        expected = by_command_line(path, path.parent / "colour")
        assert Path(download(page).path()).read_bytes() == expected


def test_a_phone_in_the_dark(open_page, photograph):
    page = open_page(PHONE, color_scheme="dark", has_touch=True)
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 23)"
        add(page, photograph)
    small = [
        (button.inner_text(), button.bounding_box()["height"])
        for button in page.locator("button:visible, a.button:visible").all()
        if button.bounding_box()["height"] < 34
    ]
    assert not small
    page.locator("#name").wait_for()
    assert page.locator("#compare").bounding_box()["width"] <= PHONE["width"]


def test_keyboard_only(open_page, photograph):
    page = open_page()
    page.locator("body[data-ready]").wait_for()

    def focused():
        return page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id")

    def tab_to(text):
        for _ in range(30):
            page.keyboard.press("Tab")
            if focused() == text:
                return
        raise AssertionError(focused())

    tab_to("Choose files")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(str(photograph))
    settle(page)
    tab_to("cut")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert cut(page) == 53
    assert "53% near-infrared" in page.locator("#cut").get_attribute("aria-valuetext")
    tab_to(page.locator("#download").inner_text())
    with page.expect_download():
        page.keyboard.press("Enter")


def test_every_control_has_a_name(open_page, photograph):
    page = open_page()
    add(page, photograph)
    page.click("summary")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, a, input, select, progress, img')]
        .filter(one => one.checkVisibility() && one.alt !== '')
        .filter(one => !(one.textContent.trim() || one.ariaLabel || one.labels?.length || one.alt))
        .map(one => one.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.usefixtures("gate")
def test_cancel_and_reload(open_page, photograph):
    page = open_page()
    page.locator("body[data-ready]").wait_for()
    page.set_input_files("#files", str(photograph))
    sync_api.expect(page.locator("#busytext")).to_have_text("25%")
    page.reload()
    sync_api.expect(page.locator("#busytext")).to_have_text("25%")
    page.click("#cancel")
    sync_api.expect(page.locator("#list .state")).to_have_text("cancelled")
    page.get_by_role("button", name="Remove night.tif").click()
    assert page.get_by_role("button", name="Choose files").is_visible()


def test_an_upload_that_is_too_large_is_not_sent(open_page, photograph):
    with serving(max_upload_bytes=1000) as small:
        page = open_page(address=small)
        add(page, photograph)
        assert page.get_by_role("alert").inner_text().startswith("night.tif: expected at most 1 kB, got 5 kB")


def test_the_page_says_when_an_image_is_deleted(open_page, photograph):
    with serving(keep_seconds=1) as hasty:
        page = open_page(address=hasty)
        add(page, photograph)
        sync_api.expect(page.locator("#list .state")).to_have_text("deleted")
        assert "was deleted from the server" in page.get_by_role("alert").inner_text()
        assert not page.locator("#download").is_visible()


def test_signing_in(open_page, photograph):
    with serving(token="open sesame") as closed:
        page = open_page(address=closed)
        page.get_by_label("Token of the server").fill("wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This is not the token").wait_for()
        page.get_by_label("Token of the server").fill("open sesame")
        page.keyboard.press("Enter")
        add(page, photograph)
        assert page.locator("#list .state").inner_text() == "done, scene"


def test_the_page_of_the_api(open_page, address):
    page = open_page(address=f"{address}docs")
    page.get_by_text("/api/colorize").first.wait_for()
    page.locator("summary").first.click()
    assert page.get_by_text("Value that maps to 1.0").first.is_visible()
