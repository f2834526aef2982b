"""What libraries read from the environment while they are imported. Importing this module sets it for the process.

The `__init__` of each room imports it, so it runs before any of the room's modules can import a library, whoever starts
them: `maskstream`, a stage's process, `python -m train`, a script. Processes that these start inherit it.
"""

from __future__ import annotations

import os

# From 1.29 on the Linux wheels of ONNX Runtime report to Microsoft: 20 look-ups of a host in 40 s, and a device id
# below ~/.cache. disable_telemetry_events() comes too late, the import alone begins it. Not a default but forced:
# nothing leaves the box unasked, also where the variable is there and empty.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# OpenMP's threads sleep while they wait instead of spinning: beside a busy process an epoch took 15 s instead of 1.7 s.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
