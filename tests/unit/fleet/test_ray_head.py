"""Ray's head that `fleet up --head` has noted down, as `fleet down` finds it; without Ray."""

import os
import socket

import msgspec
import pytest

from configs.errors import Failure, InputError
from fleet import ray_head
from fleet.commands.up import up_command
from run.lease import boot_id, process_start


def note(folder, **changes):
    own = {"pid": os.getpid(), "started": process_start(os.getpid()), "boot": boot_id()}
    (folder / "head.json").write_bytes(msgspec.json.encode(own | changes))


def test_without_a_head_there_is_nothing_to_end(tmp_path):
    assert not ray_head.end(tmp_path)


@pytest.mark.parametrize("changes", [{"boot": "another"}, {"started": 1}], ids=["before a reboot", "another process"])
def test_a_process_that_only_has_its_number_is_left_alone(tmp_path, changes):
    note(tmp_path, **changes)
    assert not ray_head.end(tmp_path)  # else this one had got SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "head.json").write_text("{}")
    with pytest.raises(Failure, match=r"head.json: cannot be read .*: end Ray's head by hand, and remove it"):
        ray_head.end(tmp_path)


def test_a_head_that_answers_is_left_alone_and_one_elsewhere_is_not_started(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:{1}".format(*listener.getsockname()))
        assert not ray_head.start("office", tmp_path / "fleet.yaml", tmp_path, print)
    monkeypatch.setattr(ray_head, "answers", lambda where: "no answer")
    monkeypatch.setenv("RAY_ADDRESS", "198.51.100.7")
    with pytest.raises(
        InputError, match=r"--head office: RAY_ADDRESS is 198.51.100.7, which is no address of this host"
    ):
        ray_head.start("office", tmp_path / "fleet.yaml", tmp_path, print)
    assert list(tmp_path.iterdir()) == []


def test_other_engines_have_no_head(tmp_path):
    (tmp_path / "fleet.yaml").write_text(
        "fleet: f\nsites: [{name: n, hosts: [{name: h, cores: 2, streams_per_core: 5}]}]\n"
        "cameras: [{name: door, site: n, source: demo}]\n"
    )
    with pytest.raises(InputError, match="--head office: is for engine ray: engine local has no head"):
        up_command(tmp_path / "fleet.yaml", engine="local", folder=tmp_path / "state", head="office")
    assert not (tmp_path / "state").exists()
