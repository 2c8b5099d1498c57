"""Make the screenshots of the web page, with the image of `nircolor demo`.

    make screenshots

Needs `nircolor[web,dev]` and Chromium (Debian: apt-get install chromium).
"""

import shutil
import threading
import time
from pathlib import Path

import uvicorn
from playwright.sync_api import expect, sync_playwright

from nircolor.app.web import Settings, create_app

IMAGES = Path(__file__).parents[1] / "guides" / "images"
DESKTOP = {"viewport": {"width": 1200, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 820}, "color_scheme": "dark", "has_touch": True}


def main() -> None:
    """Make both screenshots."""
    server = uvicorn.Server(uvicorn.Config(create_app(Settings()), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
        with sync_playwright() as playwright:
            found = shutil.which("chromium") or shutil.which("google-chrome")
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
            for name, options in (("web.jpg", DESKTOP), ("web-phone.jpg", PHONE)):
                page = browser.new_context(**options).new_page()
                page.set_default_timeout(60_000)
                page.goto(address)
                page.locator("body[data-ready]").wait_for()
                page.click("#example")
                page.locator("#list li").first.wait_for()
                expect(page.locator("#list progress:visible")).to_have_count(0, timeout=60_000)
                page.wait_for_function("[...document.images].every(image => image.complete)")
                page.screenshot(path=IMAGES / name, type="jpeg", quality=85)
            browser.close()
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
