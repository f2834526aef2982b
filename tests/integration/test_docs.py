"""The documentation is built without a warning, says what is so, and asks nothing of other hosts."""

import functools
import http.server
import re
import subprocess
import sys
import threading

import pytest
from browser import page

from configs.docs_command import build
from configs.reference import PAGE, reference

__all__ = ["page"]
ROOT = PAGE.parent.parent
CODE = [path for path in ROOT.rglob("*.py") if not {"tests", ".venv", "out", "build"} & set(path.parts)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build(folder, strict=True)
    return folder


def test_every_page_is_built_and_asks_nothing_of_other_hosts(site):
    for source in (ROOT / "docs").glob("*.md"):
        html = site / ("index.html" if source.stem == "index" else f"{source.stem}/index.html")
        text = html.read_text()
        assert re.findall(r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//[^"]*"', text) == [], source
        assert re.findall(r'<link[^>]*rel="(?:stylesheet|preconnect)"[^>]*href="(?:https?:)?//[^"]*"', text) == [], (
            source
        )
    assert "copies what the camera sends" in (site / "search" / "search_index.json").read_text()


def test_each_list_and_table_is_one_on_the_site(site):
    """Beside a paragraph or a block, without an empty line, MkDocs takes them for text; GitHub does not."""
    for html in site.rglob("index.html"):
        text = re.sub(r"<pre.*?</pre>", "", html.read_text(), flags=re.DOTALL)
        assert re.findall(r"\n- .*|\n\|.*\|", text) == [], html


def test_the_reference_of_options_is_made_from_the_schema():
    assert PAGE.read_text() == reference(), "python -m configs.reference writes it anew"


def test_each_error_line_that_troubleshooting_quotes_is_one_of_ours():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    lines = [row.split("|")[1] for row in text.splitlines() if row.startswith("| `")]
    quoted = [word for row in lines for word in re.findall(r"`([^`]+)`", row)]
    code = "\n".join(path.read_text() for path in CODE)
    assert len(quoted) > 20
    assert [word for word in quoted if word not in code] == []


def test_the_pages_are_spelled_as_english_is():
    pages = [str(path) for path in (*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md"))]
    done = subprocess.run([sys.executable, "-m", "codespell_lib", *pages], capture_output=True, text=True)
    assert done.stdout == ""


def test_it_is_searched_and_read_on_a_phone(site, page):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.set_viewport_size({"width": 390, "height": 844})
        address = f"http://127.0.0.1:{server.server_address[1]}"
        page.goto(f"{address}/troubleshooting/")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.click("label[for=__search]")
        page.wait_for_selector("text=Type to start searching")  # what is typed before its index is there is not heard
        page.type("input[data-md-component=search-query]", "superseded")
        page.wait_for_selector(".md-search-result__item")
        assert "Troubleshooting" in page.inner_text(".md-search-result__list")
        server.shutdown()
    assert page.complaints == []
    assert [url for url in asked if not url.startswith(address)] == []
