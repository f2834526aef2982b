"""What a fleet file says: sites with their hosts, cameras, the options of all runs, and what engines are told."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from configs.schema import (
    ClassifyConfig,
    DetectConfig,
    OverlayConfig,
    RunConfig,
    SourceConfig,
    TraceConfig,
    WebConfig,
    option,
)


class HostConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One host of a site, or several alike."""

    name: Annotated[str, option("name of the host; with count it is numbered: box-1, box-2")]
    cores: Annotated[int, option("its cores", ge=1)]
    count: Annotated[Annotated[int, Meta(ge=1, le=10_000)] | None, option("so many alike; empty: one")] = None
    streams_per_core: Annotated[
        Annotated[float, Meta(gt=0)] | None, option("streams of weight 1 that one of its cores holds")
    ] = None
    benchmark: Annotated[
        str, option("or the file with what `maskstream benchmark --find-max --json` printed on such a host")
    ] = ""


class SiteConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hosts that reach the same cameras. No camera is given to a host of another site."""

    name: Annotated[str, option("name of the site")]
    hosts: Annotated[tuple[HostConfig, ...], option("its hosts")] = ()


class CameraConfig(SourceConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A camera: all options of a source, and these."""

    site: Annotated[str, option("the site that reaches it")]
    weight: Annotated[float, option("what it costs; a stream as the benchmark plays it costs 1", gt=0)] = 1.0


class DefaultsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of every run, as `maskstream run --config` has them; the sources are the cameras."""

    detect: DetectConfig = field(default_factory=DetectConfig)
    classify: ClassifyConfig = field(default_factory=ClassifyConfig)
    overlay: OverlayConfig = field(default_factory=OverlayConfig)
    web: WebConfig = field(default_factory=WebConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)
    run: RunConfig = field(default_factory=RunConfig)


class InferenceConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A Triton server that `fleet render --engine kubernetes` puts beside the shards."""

    image: Annotated[str, option("image of Triton, as nvcr.io/nvidia/tritonserver:24.12-py3")]
    models: Annotated[str, option("PersistentVolumeClaim that holds the model repository")]
    gpus: Annotated[int, option("GPUs of one server; 0: it runs on the CPU", ge=0)] = 1
    replicas: Annotated[int, option("servers", ge=1)] = 1


class FailoverConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is kept for the death of a host, and when one is taken for dead."""

    after_s: Annotated[int, option("a host that is silent for this is dead to the engine, s", ge=1)] = 15
    spare_hosts: Annotated[int, option("so many hosts of a site may die and the others hold all", ge=0)] = 1


class FleetConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole fleet."""

    fleet: Annotated[str, option("its name")]
    sites: tuple[SiteConfig, ...]
    cameras: tuple[CameraConfig, ...]
    defaults: DefaultsConfig = field(default_factory=DefaultsConfig)
    events: Annotated[
        tuple[str, ...], option("receivers of events, as sinks are written; {fleet}, {site} and {shard} are filled in")
    ] = ()
    recordings: Annotated[tuple[str, ...], option("sinks that record, in the same way")] = ()
    failover: FailoverConfig = field(default_factory=FailoverConfig)
    image: Annotated[str, option("image that Kubernetes, KubeRay and Swarm start")] = "maskstream:0.1.0"
    inference: InferenceConfig | None = None
