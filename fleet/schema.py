"""What a fleet file says: sites with their hosts, cameras, the options of all runs, and what engines are told."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from configs.option import option
from configs.schema import (
    ClassifyConfig,
    DetectConfig,
    OverlayConfig,
    RunConfig,
    SourceConfig,
    TraceConfig,
    WebConfig,
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
    """A server that classifies faces for all shards: one that runs (`url`), or a Triton that the chart starts."""

    url: Annotated[str, option("its model, as classify.remote; empty: the chart starts a Triton, from `image`")] = ""
    token: Annotated[str, option("secret that it wants, as classify.remote_token")] = ""
    deadline_ms: Annotated[float, option("what it has not answered by then its shard classifies itself, ms", gt=0)] = (
        300.0
    )
    image: Annotated[str, option("image of Triton, as nvcr.io/nvidia/tritonserver:24.12-py3")] = ""
    models: Annotated[str, option("PersistentVolumeClaim that holds the model repository")] = ""
    model: Annotated[str, option("name of the model in it, as export --triton-name")] = "mask"
    gpus: Annotated[int, option("GPUs of one server; 0: it runs on the CPU", ge=0)] = 1
    replicas: Annotated[int, option("servers", ge=1)] = 1


class ServeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fleet's page (`maskstream fleet serve`), to which each shard tells how it stands."""

    url: Annotated[str, option("its address as shards reach it, as http://192.0.2.2:8090")]
    token: Annotated[str, option("secret of shards and people; empty: ${MASKSTREAM_TOKEN}, as of shards")] = ""
    tls_cert: Annotated[str, option("its certificate (chain), PEM file; empty: no TLS")] = ""
    tls_key: Annotated[str, option("its private key, PEM file; empty: it is in tls_cert")] = ""


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
    engine: Annotated[
        Literal["", "local", "ray", "kubernetes", "kuberay", "swarm"],
        option("what starts the shards, where the command does not say it"),
    ] = ""
    serve: ServeConfig | None = None
    inference: InferenceConfig | None = None
