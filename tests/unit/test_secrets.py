"""Any address with any secret, through every way in: the secret is in no output.

Secrets of one and two characters are told from ordinary text by comparison: what is shown must be what is shown with
another secret. `pytest -m slow tests/unit/test_secrets.py` tries 10,000 addresses instead of 500.
"""

import contextlib
import functools
import io
import json
import re
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
import typer
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import pipeline
from capture.sources import admitted, free_name, stream_name
from configs import redact as registry
from configs.address import written
from configs.command import run_command
from configs.redact import redact
from configs.schema import SourceConfig
from events.deliver import names_of
from run.changes import Changes
from tell.log_lines import LogLines
from tell.progress import Progress
from transport.codec import Command

LOGIN_IN_PATH = "rtsp://{host}/0/{user}:{password}/main"
ADDRESSES = (
    "rtsp://{user}:{password}@{host}/live",
    "http://{user}:{password}@{host}/v.cgi?{key}={third}&size=2",
    "rtsp://{password}@{host}/live/{host}",
    LOGIN_IN_PATH,
    "http://{host}/video.cgi?loginuse={user}&loginpas={password}",
    "http://{host}/video.cgi?usr={user};pwd={password};channel=3",
    "http://{host}/cgi/user={user}&password={password}&channel=1",
    "rtsp://{host}/user={user}_password={password}_channel=1_stream=0.sdp",
    "http://{host}/snap.jpg?{key}={password}#{third}",
    "http://{host}/snap.jpg?{third}",
    "{user}:{password}@{host}/live",
    "rtsp:/{user}:{password}@{host}/live",
    "{host}/video.cgi?user={user}&pwd={password}",
    "gopher://{user}:{password}@{host}/live",
)
SINKS = (
    "mqtt://{user}:{password}@{host}/masks",
    "mqtts://{user}:{password}@{host}/",
    "webhook:https://{user}:{password}@{host}/hook?{key}={third}",
    "webhook:ftp://{user}:{password}@{host}/hook",
    "rtsp://{user}:{password}@{host}/annotated",
    "mqtt:{user}:{password}@{host}/masks",
    "smoke:{user}:{password}@{host}/masks",
)
KEYS = ("token", "access_token", "api_key", "sig", "session", "key", "auth", "x", "anything-else")
HOSTS = ("192.0.2.10", "cam.example:8554", "[2001:db8::1]:554")
WAYS = ("flag", "yaml", "set", "http")
PLACES = ("user", "password", "third")
OTHER = ("Qzq1Zvuser", "Qzq2Zvpassword", "Qzq3Zvthird")

SIGNS = st.text(st.sampled_from("@/#?:&=;%_ \t\n\"'\\<>{}[]()|^~`$!*,.-+é密🔑\x7f\x1b\xa0"), min_size=1, max_size=8)
LETTERS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=24)
WORDS = st.sampled_from(
    ["admin", "open sesame", "1", "a", "12", "%41%20b", "50%", "pa#ss/wo@rd", "host", "***", "live"]
)
SECRET = st.one_of(WORDS, LETTERS, SIGNS, st.builds("".join, st.lists(st.one_of(LETTERS, SIGNS, WORDS), max_size=4)))


class Streams:
    """Stands in for the supervisor of a run that streams are added to."""

    def __init__(self):
        self.wanted, self.is_running, self.said = {"door": "present"}, True, []

    def add(self, name, config):
        self.said += [name, redact(config.source)]  # as run/snapshot.py has it for page and API

    def answer(self, text):
        self.said.append(text.decode())


def forget():
    registry._addresses.clear()
    registry._secrets.clear()
    registry._hosts.clear()
    registry._pattern = None


def command(*arguments):
    """What the real command line prints; it goes as far as it can without starting a process."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit):
        run_command([pipeline.run], "maskstream", arguments=arguments)
    return out.getvalue()


def through(way, address, is_sink):
    """All that is printed of an address, and of the errors that libraries would make of it."""
    forget()
    said = []
    if way == "http":
        run = Streams()
        for body in ({"source": address}, {"source": address, "width": 640}, {"source": address, "nme": "x"}):
            Changes(admitted).take(run, Command(1, "add", "", json.dumps(body).encode()))
        said += run.said
    else:
        option = "overlay.sinks.0" if is_sink else "sources.0.source"
        given = {"overlay": {"sinks": [address]}} if is_sink else {"sources": [{"source": address}]}
        path = Path("c.yaml").absolute()
        path.write_text(yaml.safe_dump(given), encoding="utf-8")
        flags = {
            "flag": ["--sink" if is_sink else "--source", address],
            "yaml": ["--config", str(path)],
            "set": ["--set", f"{option}={address}"],
        }[way]
        others = ["--source", "demo"] if is_sink else ["--width", "640", "--sink", "null"]
        said.append(command(*flags, "--print-config"))
        said.append(command(*flags, *others, "--set", "overlay.segment=never"))
        said.append(command(*flags, *others, "--sourc", address))
    source = SourceConfig(source=written(address))
    name = stream_name(source)
    said += [name, free_name(name, [name]), *names_of([address])]
    for text in (address, written(address), repr(address), json.dumps(address), unquote(address)):
        line = f"capture\tWARNING\tav.error.OSError: [Errno 5] Input/output error: {text}"
        for record in (Progress(), LogLines()):
            err = io.StringIO()
            with contextlib.redirect_stderr(err):
                record.say("capture", redact(line))
            said.append(err.getvalue())
    return re.sub(r'"time": "[^"]*"', "", "\n".join(said))


@functools.cache
def with_others(template, host, key, encoded, way):
    """The same with secrets that are in no other text."""
    return through(way, filled(template, host, key, OTHER, encoded), template in SINKS)


def filled(template, host, key, secrets, encoded):
    encoded = encoded or template == LOGIN_IN_PATH  # a / in it would be one of the path
    values = [quote(value, safe="") if encoded else value for value in secrets]
    return template.format(host=host, key=key, **dict(zip(PLACES, values, strict=True)))


def shown_parts(secret):
    """The secret and its forms, and of a long one its pieces."""
    for form in {secret, unquote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}:
        yield form
        yield from (form[at : at + 8] for at in range(len(form) - 8))


def check_secrets(template, host, key, secrets, encoded, way):
    key = key if "{key}" in template else ""
    address = filled(template, host, key, secrets, encoded)
    said, other = through(way, address, template in SINKS), with_others(template, host, key, encoded, way)
    assert not any(value in other for value in OTHER)
    public = other + template + host + key + PUBLIC
    for secret, place in zip(secrets, PLACES, strict=True):
        if f"{{{place}}}" not in template:
            continue
        for part in shown_parts(secret):
            if len(part) > 2 and part not in public:
                assert part not in said, f"{part!r} of {address!r} is shown"
    if all(secret.isalnum() and secret not in public for secret in secrets):
        assert re.sub(r"\*+", "*", said) == re.sub(r"\*+", "*", other)  # the lengths of tables aside


# What an address may be answered with, whatever its secrets are.
PUBLIC = """
 in a user or password write # as %23 and / as %2F and ? as %3F the port must be a number from 1 to 65535 names no host
 write it as no such file or folder neither a file nor a folder unknown kind of URL is for a webcam is a video file
 a ${ without its }: write ${NAME}, or $${ for a ${ that is no reference between must stand a variable's name file:/PATH
 *** stands for a secret that was not printed: write it, or a reference as is not looked up for requests over HTTP
 is not YAML special characters are not allowed (HTTP gives the value) is given twice, first in line network video
"""


@pytest.mark.parametrize(
    "examples", [pytest.param(500, marks=()), pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
def test_no_secret_of_an_address_is_in_any_output(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = typer.main.get_command
    monkeypatch.setattr(typer.main, "get_command", functools.cache(lambda app: made(app)))
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    monkeypatch.setattr(typer, "Typer", lambda **_: app)  # built once: to read its 40 types takes 10 ms each time
    few = examples <= 500
    options = settings(
        max_examples=examples,
        phases=[Phase.generate],  # to make a failing one smaller takes minutes; the message tells all
        deadline=None,
        database=None,
        derandomize=few,
        suppress_health_check=list(HealthCheck),
    )
    options(
        given(
            template=st.sampled_from(ADDRESSES + SINKS),
            host=st.sampled_from(HOSTS),
            key=st.sampled_from(KEYS),
            secrets=st.tuples(SECRET, SECRET, SECRET),
            encoded=st.booleans(),
            way=st.sampled_from(WAYS),
        )(check_secrets)
    )()
    forget()
