"""The rendered RayCluster, as Ray's own autoscaler in KubeRay reads it: which hosts there are, and what they hold."""

import pytest
import yaml

from fleet.file import read_fleet
from fleet.render import render

pytestmark = pytest.mark.fleet
reader = pytest.importorskip(
    "ray.autoscaler._private.kuberay.autoscaling_config", reason="needs Ray: pip install 'maskstream[fleet]'"
)
FLEET = """\
fleet: plant
sites:
  - {name: north, hosts: [{name: box, count: 3, cores: 8, streams_per_core: 5}]}
  - {name: south, hosts: [{name: gate, cores: 4, streams_per_core: 5}]}
cameras:
  - {name: door, site: north, source: demo}
  - {name: gate, site: south, source: demo}
"""


@pytest.fixture
def cluster(tmp_path):
    (tmp_path / "fleet.yaml").write_text(FLEET)
    render(read_fleet(tmp_path / "fleet.yaml", look_up=False), "kuberay", tmp_path)
    *_, found = yaml.safe_load_all((tmp_path / "raycluster.yaml").read_text())
    found["metadata"]["namespace"] = "masks"
    return found


def nodes_of(cluster):
    return reader._derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]


def test_ray_reads_the_hosts_of_each_site_and_their_slots(cluster):
    nodes = nodes_of(cluster)
    assert {name: (node["min_workers"], node["max_workers"]) for name, node in nodes.items()} == {
        "headgroup": (0, 0),
        "north": (3, 3),
        "south": (1, 1),
    }
    assert nodes["north"]["resources"].items() >= {"CPU": 8, "site-north": 1}.items()
    assert nodes["south"]["resources"].items() >= {"CPU": 4, "site-south": 1}.items()
    assert nodes["headgroup"]["resources"]["CPU"] == 0  # no shard there


def test_ray_refuses_resources_that_a_shell_would_have_taken_apart(cluster):
    parameters = cluster["spec"]["workerGroupSpecs"][0]["rayStartParams"]
    parameters["resources"] = yaml.safe_load(parameters["resources"])
    with pytest.raises((ValueError, TypeError)):
        nodes_of(cluster)
