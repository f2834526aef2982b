"""The fleets that run here are found by name, each has one command at work, and a folder has one engine."""

import pytest

from configs.errors import InputError
from fleet.engine import engine_of
from fleet.ports import is_free, ports
from fleet.state_folder import About, Lock, find, fleets_folder, forget, made, read_about, write_about


@pytest.fixture
def started(tmp_path, monkeypatch):
    """`started("plant")` notes down that this fleet runs here."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def start(name, engine="local"):
        folder = made(fleets_folder() / name)
        write_about(folder, About(fleet=name, engine=engine, file="fleet.yaml"))
        return folder

    return start


def test_the_only_fleet_needs_no_name(started):
    with pytest.raises(InputError, match="no fleet runs here: start it with maskstream fleet up FILE"):
        find("", None)
    folder = started("plant")
    assert find("", None) == (folder, read_about(folder)) == find("plant", None) == find("", folder)
    with pytest.raises(InputError, match=r"no fleet port runs here \(but plant\)"):
        find("port", None)
    started("port")
    with pytest.raises(InputError, match="give the name of one, of plant, port"):
        find("", None)
    forget(folder)
    assert find("", None)[1].fleet == "port"
    with pytest.raises(InputError, match="no fleet plant runs in"):
        find("plant", folder)


def test_a_folder_has_one_engine_until_it_is_down(started):
    folder = started("plant")
    with pytest.raises(InputError, match="plant runs there by engine local: first do maskstream fleet down"):
        started("plant", engine="ray")
    (folder / "fleet.json").write_text("{")
    with pytest.raises(InputError, match=r"fleet.json: is not what fleet up writes .*: remove it"):
        read_about(folder)


def test_a_second_command_is_refused_while_one_is_at_work(tmp_path):
    lock = Lock(tmp_path, "up", "another one is at work")
    with pytest.raises(InputError, match="another one is at work"):
        Lock(tmp_path, "up", "another one is at work")
    lock.release()
    Lock(tmp_path, "up", "another one is at work").release()


def test_an_engine_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(InputError, match="--engine nomad: use local, ray"):
        engine_of("nomad", "plant", tmp_path, None)


def test_a_shard_keeps_its_port_and_no_port_in_use_is_given():
    first = ports(["a", "b"], 9000, {}, lambda port: port != 9000)
    assert first == {"a": 9001, "b": 9002}
    assert ports(["b", "c"], 9000, first, lambda _: True) == {"b": 9002, "c": 9000}
    with pytest.raises(InputError, match="no free port above it for the page of b"):
        ports(["a", "b"], 65535, {}, lambda _: True)


def test_a_port_that_somebody_listens_on_is_not_free():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
