"""The static site: it builds without a warning, works without a network, and a browser finds nothing wrong with it."""

import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("myst_nb", reason="the site's packages are not installed: make site")

ROOT = Path(__file__).resolve().parents[2]
BOOKS = sorted((ROOT / "notebooks").glob("*/*.ipynb"))
PAGES = ["index.html", "notebooks/1-ddpm/1.1-forward-process.html", "docs/scoreboard.html", "docs/notation.html"]
PAGES += ["docs/generated/denoising.samplers.ancestral.html"]
SIZES = {"phone": (390, 844), "desktop": (1280, 900)}


class Page(HTMLParser):
    """What a page links to, loads, shows and folds."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links, self.loaded, self.pictures, self.folded = set(), [], [], [], []
        self._details, self.text_in_details = 0, ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[key] for key in ("id", "name") if attrs.get(key)}
        if tag == "a" and attrs.get("href"):
            self.links.append(attrs["href"])
        if tag in ("script", "img", "iframe") and attrs.get("src"):
            self.loaded.append(attrs["src"])
        if tag == "link" and attrs.get("rel") in ("stylesheet", "preload", "icon", "modulepreload"):
            self.loaded.append(attrs["href"])
        if tag == "img":
            self.pictures.append((attrs.get("src", ""), attrs.get("alt", "")))
        self._details += tag == "details"

    def handle_endtag(self, tag):
        self._details -= tag == "details"

    def handle_data(self, data):
        if self._details:
            self.text_in_details += data


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The built site, from a copy of what the build reads: the generated pages never touch the tree."""
    tree = tmp_path_factory.mktemp("course")
    unneeded = ("__pycache__", "_build", "generated", "course", "*.xz", "*.safetensors", "*.egg-info")
    for name in ("classroom", "docs", "lib", "notebooks", "data", "tests"):
        ignored = shutil.ignore_patterns(*unneeded)
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree / path.name)
    out = tree / "docs" / "_build" / "html"
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs", ".", str(out)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="session")
def pages(site):
    # _static holds templates of the theme
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts}


def test_every_notebook_and_every_page_of_docs_is_there(site):
    for path in [*BOOKS, *(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "data" / "README.md"]:
        assert (site / path.relative_to(ROOT).with_suffix(".html")).is_file(), path.name
    assert (site / "index.html").read_bytes() == (site / "README.html").read_bytes()


def test_every_picture_has_the_description_that_is_stored_with_it(site, pages):
    for path in BOOKS:
        stored = [
            "".join(output["data"]["text/plain"]).removeprefix("Figure: ")
            for cell in json.loads(path.read_text("utf-8"))["cells"]
            for output in cell.get("outputs", [])
            if "image/png" in output.get("data", {})
        ]
        shown = [alt for _, alt in pages[site / path.relative_to(ROOT).with_suffix(".html")].pictures]
        assert stored and sorted(stored) == sorted(shown), path.name
    for path, page in pages.items():
        assert all(alt.strip() for _, alt in page.pictures), path.relative_to(site)


def test_no_link_is_dead(site, pages):
    dead = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link in ("#", ""):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                dead.append(f"{path.relative_to(site)}: {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                dead.append(f"{path.relative_to(site)}: {link} (no such place)")
    assert not dead, dead[:20]


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for path, page in pages.items():
        far = [link for link in page.loaded if urlsplit(link).netloc]
        assert not far, (path.relative_to(site), far)


def test_solutions_are_folded(site, pages):
    for path in BOOKS:
        solutions = sum("solution" in cell["metadata"].get("tags", []) for cell in _cells(path))
        folded = pages[site / path.relative_to(ROOT).with_suffix(".html")].text_in_details
        assert folded.count("### BEGIN SOLUTION") == solutions, path.name


def test_the_answer_keys_are_not_in_the_public_site(site):
    assert not (site / "docs" / "generated" / "answers.html").exists()


def _cells(path):
    return json.loads(path.read_text("utf-8"))["cells"]


def test_the_reference_shows_every_public_name_with_its_source(site):
    text = (site / "docs" / "generated" / "denoising.samplers.ancestral.html").read_text("utf-8")
    for name in ("ddim", "ddpm"):
        assert f'id="denoising.samplers.ancestral.{name}"' in text
        assert f"_modules/denoising/samplers/ancestral.html#{name}" in text


@pytest.fixture(scope="session")
def browser():
    """Chromium that reaches nothing but files."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make site")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (program and driver):
        pytest.skip("no browser: Debian's packages chromium and chromium-driver")
    options = selenium.ChromeOptions()
    options.binary_location = program
    for flag in ("--headless=new", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update",
                 "--host-resolver-rules=MAP * ~NOTFOUND"):  # fmt: skip
        options.add_argument(flag)
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # Chromium's sandbox refuses root
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    yield driver
    driver.quit()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("page", PAGES)
def test_a_browser_shows_a_page_without_an_error(site, browser, page, size):
    width, height = SIZES[size]
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get((site / page).as_uri())
    browser.set_script_timeout(60)
    browser.execute_async_script("(window.MathJax?.startup?.promise ?? Promise.resolve()).then(arguments[0])")
    assert browser.title.endswith("Denoising") and browser.find_element("css selector", "article h1").is_displayed()
    wide = browser.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 1, f"{wide} pixels stick out to the right"
    if page.startswith("notebooks"):
        assert browser.execute_script("return document.querySelectorAll('mjx-container').length") > 10
        assert browser.execute_script("return document.querySelectorAll('mjx-merror').length") == 0
        broken = "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert browser.execute_script(broken) == []
    said = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not said, said
