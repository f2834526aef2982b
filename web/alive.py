"""`python -m web.alive`: exit code 0 while the run on this machine lives, for the health check of a container.

It finds the port and whether TLS is spoken by itself, needs no token, and imports nothing heavy. With `--ready` it asks
/readyz instead, with the token of the run: a Kubernetes probe over HTTP would have it in the manifest.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

from web.where import Page, pages

TIMEOUT_S = 4.0


def main() -> int:
    """Say what is wrong, on standard output, where Docker keeps it."""
    found = pages()
    if not found:
        print("no run with a page here (--sink web)")
        return 1
    path = "/readyz" if "--ready" in sys.argv[1:] else "/livez"
    troubles = [f"{page.url}: {trouble}" for page in found if (trouble := _trouble(page, path))]
    print(*troubles, sep="\n", end="\n" if troubles else "")
    return 1 if troubles else 0


def _trouble(page: Page, path: str) -> str:
    request = urllib.request.Request(f"{page.url}{path}")
    if path == "/readyz":
        request.add_header("Authorization", f"Bearer {page.token}")
    try:
        page.open(request, TIMEOUT_S).close()
    except urllib.error.HTTPError as error:
        return error.read(200).decode(errors="replace").strip()
    except OSError as error:
        return str(getattr(error, "reason", error))
    return ""


if __name__ == "__main__":
    sys.exit(main())
