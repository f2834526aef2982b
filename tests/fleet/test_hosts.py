"""What hosts of tests promise: a loss of power and a split are real, and nothing of a host is left."""

import os
import sys
from pathlib import Path

import psutil
import pytest
from hosts import Hosts, hosts, missing_for_hosts, until

__all__ = ["hosts"]
pytestmark = pytest.mark.fleet
SENDS = """
import socket, sys, time
connection = socket.create_connection((sys.argv[1], 9000), 5)
while True:
    connection.sendall(b".")
    time.sleep(0.05)
"""


def received(connection):
    connection.setblocking(False)
    try:
        return connection.recv(65536)
    except BlockingIOError:
        return None


def test_a_host_that_is_cut_off_is_heard_again_when_it_is_back(hosts):
    with hosts.office.listener(9000) as listener:
        listener.settimeout(20)
        sender = hosts[0].run(sys.executable, "-c", SENDS, hosts.office.address)
        connection, address = listener.accept()
        assert address[0] == hosts[0].address
        until(lambda: received(connection))
        hosts.cut(hosts[0])
        until(lambda: received(connection) is None)
        assert sender.runs
        hosts.join(hosts[0])
        until(lambda: received(connection))


def test_a_host_that_loses_power_says_no_goodbye_and_keeps_its_disk(hosts):
    with hosts.office.listener(9000) as listener:
        listener.settimeout(20)
        hosts[1].run(sys.executable, "-c", SENDS, hosts.office.address)
        connection, _ = listener.accept()
        written = hosts[1].run("sh", "-c", "hostname > /srv/name; ls /srv/name")
        assert written.wait() == 0
        there = hosts[1].processes()
        hosts.power_off(hosts[1])
        until(lambda: not any(process.is_running() for process in there))
        until(lambda: received(connection) is None)  # b"" were the end of the connection
        connection.close()
    hosts.power_on(hosts[1])
    assert hosts[1].processes() == []
    assert (hosts[1].disk / "name").read_text() == "host-2\n"
    heard = hosts[1].run(sys.executable, "-c", SENDS, hosts.office.address)
    assert heard.wait() == 1  # nobody listens any more, and that is told at once: its net is there
    assert "refused" in heard.stderr


def test_nothing_of_hosts_is_left(tmp_path):
    if why := missing_for_hosts():
        pytest.skip(why)
    before = Path("/proc/self/mountinfo").read_text()
    made = Hosts(2, tmp_path)
    # also of what has left its session, and of what is stopped
    made[0].run("setsid", "sh", "-c", "sleep 3600 & sleep 3600")
    until(lambda: len(made[0].processes("sleep")) >= 2)
    made[0].processes("sleep")[0].suspend()
    there = [process for host in made.all for process in (*host.processes(), host.first)]
    made.close()
    until(lambda: not any(psutil.pid_exists(process.pid) and process.is_running() for process in there))
    assert Path("/proc/self/mountinfo").read_text() == before
    assert "br0" not in os.listdir("/sys/class/net")
