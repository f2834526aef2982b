"""A real Triton (that of nvidia-pytriton, on a CPU) with a repository of `maskstream export --triton`, for tests.

`python triton_server.py REPOSITORY/mask/1/model.onnx PORT LOG`, as tests/v2_server.py, in an environment of its own.
The configuration is served as it was written, but for its backend: ONNX Runtime runs in Triton's Python backend.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytriton

HERE = Path(__file__).parent


def main() -> None:
    """Serve until killed; says `ready` when it answers."""
    model, port, log = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    folder = Path(f"{log}.served")
    bundled, site = Path(pytriton.__file__).parent / "tritonserver", Path(pytriton.__file__).parents[1]
    shutil.copytree(bundled, folder / "triton", ignore=shutil.ignore_patterns("python_backend_stubs"))
    stub = f"{sys.version_info.major}.{sys.version_info.minor}/triton_python_backend_stub"
    shutil.copy(bundled / "python_backend_stubs" / stub, folder / "triton" / "backends" / "python")
    version = folder / "models" / "mask" / "1"
    version.mkdir(parents=True)
    config = (model.parents[1] / "config.pbtxt").read_text()
    (version.parent / "config.pbtxt").write_text(config.replace('backend: "onnxruntime"', 'backend: "python"'))
    shutil.copy(model.parents[1] / "labels.txt", version.parent)
    shutil.copy(model, version)
    shutil.copy(HERE / "triton_model.py", version / "model.py")
    libraries = f"{site}/nvidia_pytriton.libs:{os.environ.get('LD_LIBRARY_PATH', '')}"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # the backend takes the packages of the first python
    environment = os.environ | {"LD_LIBRARY_PATH": libraries, "PATH": path, "MASKSTREAM_LOG": log}
    options = {
        "model-repository": folder / "models",
        "backend-directory": folder / "triton" / "backends",
        "http-address": "127.0.0.1",
        "http-port": port,
        "allow-grpc": "false",
        "allow-metrics": "false",
    }
    command = [folder / "triton" / "bin" / "tritonserver", *(f"--{name}={value}" for name, value in options.items())]
    triton = subprocess.Popen(command, env=environment)
    while triton.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/models/mask/ready", timeout=1).close()
            break
        except OSError:
            time.sleep(0.1)
    else:
        sys.exit(triton.returncode)
    print("ready", flush=True)
    sys.exit(triton.wait())


if __name__ == "__main__":
    main()
