"""`python -m web.alive`: exit code 0 while the run on this machine lives, for the health check of a container.

It finds the port and whether TLS is spoken by itself, needs no token, and imports nothing heavy.
"""

from __future__ import annotations

import sys
import urllib.error

from web.where import Page, pages

TIMEOUT_S = 4.0


def main() -> int:
    """Say what is wrong, on standard output, where Docker keeps it."""
    found = pages()
    if not found:
        print("no run with a page here (--sink web)")
        return 1
    troubles = [f"{page.url}: {trouble}" for page in found if (trouble := _trouble(page))]
    print(*troubles, sep="\n", end="\n" if troubles else "")
    return 1 if troubles else 0


def _trouble(page: Page) -> str:
    try:
        page.open(f"{page.url}/livez", TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        return error.read(200).decode(errors="replace").strip()
    except OSError as error:
        return str(getattr(error, "reason", error))
    return ""


if __name__ == "__main__":
    sys.exit(main())
