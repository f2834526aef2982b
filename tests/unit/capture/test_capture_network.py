"""Network cameras without a network: what FFmpeg is asked for, and refusals on a closed port of this machine."""

import socket

import pytest

from capture.kinds.network import network_options, open_camera
from configs.errors import InputError
from configs.schema import SourceConfig


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]  # bound, but nobody listens


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "http", "https", "tcp", "rtmp"])
def test_a_closed_port_is_refused_in_one_line_without_the_password(scheme, closed_port, capfd):
    with pytest.raises(InputError) as refusal:
        open_camera(SourceConfig(source=f"{scheme}://me:s3cret@127.0.0.1:{closed_port}/live"))
    address = f"{scheme}://***@127.0.0.1:{closed_port}/live"
    assert str(refusal.value) == f"{address}: connection refused: is it switched on, and is the port right?"
    assert refusal.value.__suppress_context__  # PyAV's own error holds the password: no traceback may show it
    assert "".join(capfd.readouterr()) == ""


def test_silence_at_the_start_is_refused_after_the_open_timeout(closed_port):
    with pytest.raises(InputError, match=r"no answer within 0.2 s"):
        open_camera(SourceConfig(source=f"udp://127.0.0.1:{closed_port + 1}", open_timeout_s=0.2))


def test_rtsp_comes_over_tcp_unless_told_otherwise():
    tcp, udp = (
        network_options(SourceConfig(source="rtsp://door/live")),
        network_options(SourceConfig(source="rtsp://door/live", rtsp_transport="udp")),
    )
    assert (tcp["rtsp_transport"], udp["rtsp_transport"]) == ("tcp", "udp")
    assert "max_delay" not in udp  # over UDP packets may change their order: FFmpeg must be allowed to wait for one
