"""What the pages name is there: files, folders, links, headings, make's targets; addresses are whole and nobody's.

Links and headings within docs/ are MkDocs' to check (configs/mkdocs.yml, `validation`; tests/integration/test_docs.py).
"""

import ipaddress
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE_DOCS = [*ROOT.glob("*.md"), *ROOT.glob("inference/pretrained/*.md")]
PAGES = [*OUTSIDE_DOCS, *sorted(ROOT.glob("docs/*.md"))]
OURS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name.isalpha()} - {
    line.strip("/") for line in (ROOT / ".gitignore").read_text().split()
}
NOBODYS = [ipaddress.ip_network(net) for net in ("127.0.0.0/8", "0.0.0.0/32", "192.0.2.0/24")]  # the last: RFC 5737


def name_of(page):
    return str(page.relative_to(ROOT))


def headings(text):
    """The anchors of a page, as GitHub and MkDocs make them.

    >>> headings("# One thing\\n## And `another`, too")
    {'one-thing', 'and-another-too'}
    """
    lines = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", OUTSIDE_DOCS, ids=name_of)
def test_each_link_leads_to_a_file_and_a_heading_that_are_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target.read_text()), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_path_that_begins_with_a_folder_of_ours_is_there(page):
    named = re.findall(rf"(?<![\w./-])((?:{'|'.join(OURS)})/[\w./*-]*\w)", page.read_text())
    assert [name for name in named if not any(ROOT.glob(name))] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_module_and_page_that_is_named_without_its_folder_is_there(page):
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    there = {Path(name).name for name in listed.splitlines()}
    assert set(re.findall(r"(?<![\w./<-])(\w+\.(?:py|md))\b", page.read_text())) - there == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_address_is_whole_and_no_example_is_somebodys(page):
    text = page.read_text()
    for address in re.findall(r"\b(?:https?|rtsps?|mqtts?|nats|postgres|s3)://[^\s`'\"()<>|,;\[\]]+", text):
        parts = urlsplit(address)
        assert parts.hostname, address
        assert parts.port is None or parts.port > 0, address
    text = re.sub(r"opencv-python [\d.]+", "", text)  # a version of four parts
    for written in re.findall(r"(?<![\w.])\d+\.\d+\.\d+\.\d+(?![\w.])", text):
        assert any(ipaddress.ip_address(written) in net for net in NOBODYS), written


def test_each_target_of_make_that_is_named_is_one():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:^|`)make ([\w-]+)", page.read_text(), re.MULTILINE)}
    assert len(named) >= 4
    assert named <= targets
