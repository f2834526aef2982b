"""`maskstream streams`: lists, adds, removes, pauses and resumes the streams of a run, through its page."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table

from configs.console import console
from configs.errors import Failure, InputError
from configs.redact import learn, learn_secret
from configs.references import escaped, resolve
from web.token import token_of_environment
from web.where import Page, find_page

ACTIONS = ("list", "add", "remove", "pause", "resume")
TIMEOUT_S = 15.0


def streams_command(
    action: Annotated[str, typer.Argument(help="list, add, remove, pause or resume")],
    what: Annotated[str, typer.Argument(help="the source to add, else the stream's name")] = "",
    name: Annotated[str, typer.Option(help="a name for the stream that is added")] = "",
    realtime: Annotated[bool, typer.Option("--realtime", help="play a file that is added at its own rate")] = False,
    loop: Annotated[bool, typer.Option("--loop", help="play it again and again")] = False,
    url: Annotated[str, typer.Option(help="address of the run's page; found by itself on the same machine")] = "",
    token: Annotated[str, typer.Option(help="its token, also MASKSTREAM_TOKEN")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="as JSON")] = False,
) -> None:
    """Change the streams of a run that goes on (one with --sink web).

    Examples:
      maskstream streams list
      maskstream streams add rtsp://user:pass@host/path --name yard
      maskstream streams remove yard
    """
    if action not in ACTIONS:
        raise InputError(f"streams {action}: use {', '.join(ACTIONS)}")
    if bool(what) == (action == "list"):
        raise InputError(f"streams {action}: " + ("takes nothing more" if what else "of what?"))
    url, token, what = (_looked_up(name, text) for name, text in (("--url", url), ("--token", token), (action, what)))
    page = Page(url, token or token_of_environment()) if url else find_page()
    learn_secret(page.token)
    if action == "list":
        _print(_ask(page, "GET"), as_json)
        return
    if action == "add":
        given = {"name": name, "realtime": realtime, "loop": loop}
        source = os.path.abspath(what) if os.path.exists(what) else what  # the run may stand in another folder
        body = {"source": escaped(source)} | {key: value for key, value in given.items() if value}
        answer = _ask(page, "POST", body=body)
    elif action == "remove":
        answer = _ask(page, "DELETE", f"/{quote(what, safe='')}")
    else:
        answer = _ask(page, "POST", f"/{quote(what, safe='')}/{action}", {})
    typer.echo(json.dumps(answer) if as_json else f"{answer['stream']}: {action}")


def _looked_up(what: str, text: str) -> str:
    """An argument with what its references stand for: they are this user's, the run would not look them up."""
    try:
        found = resolve(text)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    learn(found)
    return found


def _ask(page: Page, method: str, path: str = "", body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {page.token}", "Content-Type": "application/json"}
    if not page.url.startswith(("http://", "https://")):
        raise InputError(f"--url {page.url}: write it as http://HOST:PORT")
    data = None if body is None else json.dumps(body).encode()
    url = f"{page.url.rstrip('/')}/api/streams{path}"
    request = urllib.request.Request(url, data, headers if page.token else {}, method=method)
    try:
        with page.open(request, TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read(4096).decode(errors="replace").strip()
        if "Location" in error.headers:  # not followed: the token is for the address that was given
            raise InputError(f"the page is elsewhere: try --url {error.headers['Location']}") from None
        if error.code == 401:
            raise InputError("the page wants its token: --token, or MASKSTREAM_TOKEN") from None
        if text.startswith("{"):
            text = json.loads(text).get("error", text)
        raise InputError(text or f"{error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, ssl.SSLCertVerificationError):
            raise InputError(
                f"the certificate of {page.url} is not trusted ({reason.verify_message}): "
                "SSL_CERT_FILE=FILE names one that is"
            ) from None
        raise Failure(f"the page at {page.url} cannot be reached ({reason})") from None


def _print(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table(box=None)
    for column in ("stream", "state", "fps", "shown", "connection", "source"):
        table.add_column(column)
    for stream in found:
        words = (stream["name"], stream["state"], stream["fps"], stream["shown"], stream["quality"], stream["source"])
        table.add_row(*map(str, words))
    console(highlight=False, width=None if os.isatty(1) else 160).print(table)
