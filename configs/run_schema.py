"""The options of a run as a whole, and of the shard of a fleet that it may be."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from configs.option import option


class RunConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The run as a whole."""

    keep_going: Annotated[bool, option("with several sources: run on when one of them cannot be used")] = False
    cores: Annotated[int, option("cores to use; 0: all that this process may use (affinity, cgroup)", ge=0)] = 0
    lanes: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | Literal["auto"],
        option(
            "processes of each stage, beside each other; a stream stays with one of each; auto: one for each four "
            "cores, no more than there are sources"
        ),
    ] = "auto"
    start_timeout_s: Annotated[float, option("a stage that is not ready after this has failed, s", gt=0)] = 120.0
    heartbeat_timeout_s: Annotated[float, option("a stage that is silent for this long is killed, s", gt=0.5)] = 6.0
    hang_timeout_s: Annotated[float, option("a stage that is busy with one batch for this long is killed, s", gt=1)] = (
        60.0
    )
    max_restarts: Annotated[int, option("give up after this many deaths of a stage in a minute of its work", ge=0)] = 10
    site: Annotated[
        str, option("where this run stands: told in events, metrics, log lines, reports; {site} of overlay.upload")
    ] = ""
    host: Annotated[
        str, option("name of this machine in them; empty: its own, where a site or a shard is named, else none")
    ] = ""
    shard: Annotated[
        str, option("name of the shard of a fleet that this run is: it gets a lease and a folder that outlive it")
    ] = ""
    folder: Annotated[
        str,
        option(
            "the shard's folder: lease, waiting events, all sinks with relative paths; empty: "
            "~/.local/state/maskstream/shards/NAME"
        ),
    ] = ""
    epoch: Annotated[
        int, option("number of the grant by which the shard runs here, a newer one ends it; 0: the last one + 1", ge=0)
    ] = 0
    grant: Annotated[
        str,
        option(
            "instead of epoch, of owners that count none: the grant's name. A new name gets the Unix time in ms as its "
            "epoch, and keeps it for all its lives"
        ),
    ] = ""
    epoch_file: Annotated[
        str, option("file in which the shard's owner writes the newest epoch; empty: `epoch` in the shard's folder")
    ] = ""
    deliver_s: Annotated[
        float, option("a shard that is fenced or drained waits so long until receivers have its events, s", ge=0)
    ] = 300.0
    status: Annotated[
        str, option("where the run's status is sent, http(s)://HOST/PATH or nats://HOST/SUBJECT; empty: nowhere")
    ] = ""
    status_token: Annotated[str, option("secret that goes along as a bearer's token")] = ""
    status_every_s: Annotated[float, option("how often, s", ge=0.5)] = 2.0
