"""The page behind a real nginx, looked at by a real browser: the recipe of the docs, and how else nginx is set up."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest
from browser import page, seqs
from certificates import certificate
from ports import free_port
from program import ROOT
from test_events import command
from test_web_doors import ask, raw
from test_web_page import until

__all__ = ["page"]

TOKEN = "a-token-of-the-test"
[RECIPE] = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs" / "proxy.md").read_text(), re.DOTALL)

HOSTS = {  # what else the browser's `Host` becomes, by the path of the page, where nginx sends its requests to
    "default Host": ("/", "/", ""),
    "$host": ("/", "/", "proxy_set_header Host $host;"),
    "$host:$server_port": (
        "/",
        "/",
        "proxy_set_header Host $host:$server_port; proxy_set_header X-Forwarded-For $remote_addr;",
    ),
    "a path that stays": ("/cams/", "", "proxy_set_header Host $host;"),
}
SETUPS = [*HOSTS, "docs: TLS and a path that is cut off"]
NO_WEBSOCKET = "server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://127.0.0.1:{}; }} }}\n"


@pytest.fixture
def nginx(tmp_path):
    """`nginx(text)` runs Debian's nginx with these server blocks."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if program is None:
        pytest.skip("a proxy in front needs Debian's nginx-light: apt-get install nginx-light")
    folder = tmp_path / "nginx"
    folder.mkdir()
    processes = []

    def start(text):
        places = "".join(f"{name}_temp_path {folder}/{name}; " for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/errors;\n"
            f"events {{ worker_connections 256; }}\n"
            f"http {{ access_log off; client_body_temp_path {folder}/body; {places}\n{text}\n}}\n"
        )
        command = [program, "-c", folder / "nginx.conf", "-p", folder, "-e", folder / "errors"]
        processes.append(subprocess.Popen(command))

    yield start
    for process in processes:
        process.terminate()
        process.wait()


def servers(upstream, ports, cert, key):
    """One server block for each of SETUPS: the last is the text of the docs."""
    text = RECIPE.replace("127.0.0.1:8080", f"127.0.0.1:{upstream}").replace(
        "listen 443", f"listen 127.0.0.1:{ports[-2]}"
    )
    text = text.replace("/etc/ssl/cams.example.pem", str(cert)).replace("/etc/ssl/cams.example.key", str(key))
    for port, (path, to, headers) in zip(ports, HOSTS.values(), strict=False):
        text += (
            f"server {{ listen 127.0.0.1:{port} sndbuf=32k; location {path} {{ proxy_pass http://127.0.0.1:{upstream}{to};"
            "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;"
            f"proxy_set_header Connection $connection_upgrade; {headers} }} }}\n"
        )
    return text


def answers(port):
    with contextlib.suppress(OSError):
        return socket.create_connection(("127.0.0.1", port), 1).close() is None


def test_the_page_behind_nginx_in_five_ways(maskstream, nginx, page, tmp_path):
    """Each time: the form, pictures, changes, the pictures of events; and who must not come in does not.

    Screenshots are left in the test's folder.
    """
    upstream, *ports = [free_port() for _ in range(len(SETUPS) + 2)]
    nginx(servers(upstream, ports, *certificate(tmp_path)) + NO_WEBSOCKET.format(ports[-1], upstream))
    paths = [path for path, _, _ in HOSTS.values()]
    urls = [f"http://cams.example:{port}{path}" for port, path in zip(ports, paths, strict=False)]
    urls.append(f"https://cams.example:{ports[-2]}/mask/")
    line = ("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", upstream, "--token", TOKEN)
    run = maskstream(*line, "--set", f"web.url={' '.join(urls)}")
    run.until(lambda: "web: ready" in run.stderr and all(map(answers, ports)))
    for name, url in zip(SETUPS, urls, strict=True):
        look_at(page, url, tmp_path / f"{name.partition(':')[0].replace('$', '')}.png")
    [cookie] = [cookie for cookie in page.context.cookies() if cookie["path"] == "/mask"]
    assert cookie["secure"]
    assert cookie["httpOnly"]
    refuse_strangers(upstream, ports)
    pictures_are_fresh(ports[0])
    listed = command("streams", "list", "--url", f"http://127.0.0.1:{ports[3]}/cams/", "--token", TOKEN, cwd=tmp_path)
    assert "demo" in listed.stdout, listed.stderr
    ask_again_who_lost_the_cookie(run, page)
    explain_a_websocket_that_does_not_pass(page, f"http://cams.example:{ports[-1]}/")
    assert "Traceback" not in run.stderr
    assert (tmp_path / "nginx" / "errors").read_text().count("[crit]") == 0


def enter(page):
    page.locator("input[name=token]").fill(TOKEN)
    page.keyboard.press("Enter")
    page.locator("#tiles").wait_for(state="attached")


def look_at(page, url, screenshot):
    """What a user does who comes by this address for the first time."""
    page.goto("about:blank")
    page.context.clear_cookies()
    page.complaints.clear()
    page.goto(url, wait_until="commit")
    enter(page)
    assert page.url == url
    until(lambda: seqs(page))
    was = seqs(page)["demo"]
    until(lambda: seqs(page).get("demo", -1) > was + 5)
    until(lambda: "running" in page.locator("#summary").inner_text())
    page.locator(".tile").focus()
    page.keyboard.press("Enter")
    assert page.locator(".tile.large").count() == 1
    page.keyboard.press("Escape")
    page.locator("button.pause").click()
    until(lambda: "paused" in page.locator(".tile .why").inner_text())
    page.locator("button.pause").click()
    until(lambda: page.locator("#events li img").count())
    assert page.evaluate("document.querySelector('#events img').decode().then(() => true)")
    until(lambda: seqs(page))
    page.screenshot(path=str(screenshot))
    assert all("401" in complaint for complaint in page.complaints), page.complaints  # before the token was given
    assert len(page.complaints) == 1


def ask_again_who_lost_the_cookie(run, page):
    """The run goes on, its page is started again, and does not know the browser: no "cannot be reached" for ever."""
    page.context.clear_cookies()
    os.kill(run.stage("web"), signal.SIGKILL)
    page.locator("input[name=token]").wait_for(timeout=60_000)
    page.locator("input[name=token]").fill("no-token")
    page.keyboard.press("Enter")
    page.wait_for_url("**/login")
    enter(page)
    until(lambda: seqs(page))


def explain_a_websocket_that_does_not_pass(page, url):
    """Where the lines for WebSocket are missing, or web.url names another address: the page itself loads."""
    page.goto(f"{url}?token={TOKEN}", wait_until="commit")
    until(lambda: "it must pass WebSocket on" in page.locator("#lost").inner_text())


def refuse_strangers(upstream, ports):
    """Directly and through nginx; what nobody can know of a request must not let it in."""
    token = {"Authorization": f"Bearer {TOKEN}"}
    spoofed = {"X-Forwarded-Host": "cams.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}
    for port in (upstream, ports[0], ports[1]):
        assert ask(port, "/api/status", Host="127.0.0.1")[0] == 401, "near, but who knows who asks the proxy"
        assert ask(port, "/api/status", Host="127.0.0.1", **spoofed)[0] == 401
        assert ask(port, "/api/status", Host="127.0.0.1", **token)[0] == 200
        for origin in ("http://evil.example", f"http://cams.example:{upstream}", "https://cams.example", "null"):
            assert ask(port, "/live", Host="cams.example", Origin=origin, **token)[0] == 403, origin
            assert ask(port, "/api/streams/demo/pause", "POST", b"", Origin=origin, **token)[0] == 403, origin
        assert ask(port, "/livez")[0] == 200
    for port in (upstream, ports[1]):  # the latter passes the name on
        assert ask(port, "/api/status", Host="evil.example", **token)[0] == 403
        assert ask(port, "/api/status", Host="evil.example", **token, **spoofed)[0] == 403
    assert ask(upstream, "/mask", Host="cams.example")[1]["Location"] == "mask/"
    assert raw(upstream, b"GET / HTTP/1.1\r\nHost: [\r\n\r\n").split()[1] in (b"400", b"403")


def pictures_are_fresh(port):
    """A viewer who reads nothing for 8 s is not kept 8 s of pictures by nginx; the sockets hold some."""
    with socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        link.settimeout(20)
        link.connect(("127.0.0.1", port))
        head = f"GET /stream/demo.mjpg HTTP/1.1\r\nHost: cams.example\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        link.sendall(head.encode())
        assert b"multipart/x-mixed-replace" in link.recv(1000)
        time.sleep(8)
        began_s, taken = time.monotonic(), 0
        while time.monotonic() < began_s + 0.2:
            taken += len(link.recv(1 << 16))
    assert taken < 1e6  # 0.4 MB; with `proxy_ignore_headers X-Accel-Buffering` 2 MB on a busy box
