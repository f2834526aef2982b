"""What the page serves is what /api/openapi.json says: asked by a program that reads it, in hundreds of ways."""

import json
import subprocess
import sys
import urllib.request

from openapi_spec_validator import validate
from ports import free_port

TOKEN = "abcdefghijkl-mn"
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"


def test_the_answers_are_as_they_are_described(maskstream):
    port = free_port()
    page = ("--sink", "web", "--token", TOKEN, "--port", port)
    run = maskstream("--source", "demo", "--realtime", "--loop", "--fps", 5, *page)
    run.until(lambda: "capture-demo: ready" in run.stderr)
    address = f"http://127.0.0.1:{port}/"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with urllib.request.urlopen(urllib.request.Request(f"{address}api/openapi.json", headers=headers)) as answer:
        document = json.load(answer)
    validate(document)
    assert document["components"]["schemas"]["SourceConfig"]["properties"].keys() >= {"source", "fps", "rtsp_transport"}
    tool = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
    options = ["-H", f"Authorization: Bearer {TOKEN}", "-n", "5", "--checks", CHECKS, "--seed", "1"]
    asked = subprocess.run(
        [*tool, f"{address}api/openapi.json", *options], capture_output=True, text=True, cwd=run.folder, timeout=200
    )
    assert asked.returncode == 0, asked.stdout[-3000:]
    assert "Tested: 13" in asked.stdout
    assert run.stage("overlay")  # the run goes on
