"""Which inference server is asked, as the options name it."""

import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends.model_server import check_remote, model_server


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"remote": "gpu:8000/mask"}, r"classify\.remote .*is no address: write http://HOST:8000/MODEL"),
        ({"remote": "http://gpu:8000"}, r"write http://HOST:8000/MODEL"),
        ({"remote": "http://gpu:99999/mask"}, r"is no address"),
        ({"remote": "grpc://gpu:8001/mask"}, r"is no address"),
        ({"remote": "http://gpu:8000/v2/models/mask"}, r"/v2/models/ is put before"),
        ({"remote_token": "x"}, r"classify\.remote_token: is for classify\.remote"),
        ({"remote_ca": "x.pem"}, r"classify\.remote_ca: is for classify\.remote"),
        ({"remote": "http://gpu/mask", "remote_ca": "x.pem"}, r"is for an address with https"),
        ({"remote": "https://gpu/mask", "remote_ca": "none.pem"}, r"cannot read none\.pem: No such file"),
        ({"remote": "http://gpu/mask", "remote_token": "a b"}, r"remote_token: has a blank"),
        ({"remote": "http://me:pw12345@gpu/mask", "remote_token": "abc"}, r"has a login already"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_the_start(options, reason):
    with pytest.raises(InputError, match=reason) as refusal:
        check_remote(ClassifyConfig(**options))
    assert "pw12345" not in str(refusal.value)


def test_a_ca_file_without_a_certificate_is_refused(tmp_path):
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(InputError, match="holds no certificate"):
        check_remote(ClassifyConfig(remote="https://gpu/mask", remote_ca=str(tmp_path / "empty.pem")))


def test_a_server_may_lie_behind_a_path_and_want_a_login():
    server = model_server(ClassifyConfig(remote="http://me:p%40ss@proxy.example/inference/face%20masks"))
    assert server.model_path == "/inference/v2/models/face%20masks"
    assert server.headers["Authorization"] == "Basic bWU6cEBzcw=="
    assert server.shown == "http://***@proxy.example/inference/face%20masks"
    assert model_server(ClassifyConfig(remote="https://[::1]/mask")).port == 443
