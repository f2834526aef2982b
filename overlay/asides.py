"""What runs beside the way of the frames: the page, what is sent away, and the windows of several lanes."""

from __future__ import annotations

from configs.schema import PipelineConfig
from events.deliver import RECEIVERS, DeliverConfig
from overlay.check_options import segmented
from overlay.sinks import default_sinks
from overlay.upload import UploadConfig
from transport.stage import Aside


def beside(config: PipelineConfig, of_files: bool) -> list[Aside]:
    """The processes beside the frames. `of_files`: all sources are films, so that the run has an end."""
    sinks = config.overlay.sinks or default_sinks()
    page = [Aside("web", "web.serve:serve", config.web)] if "web" in sinks else []
    if config.web.home_assistant:
        page.append(Aside("home-assistant", "web.home_assistant:home_assistant", config.web))
    if "window" in sinks and config.run.lanes not in (1, "auto"):
        page.append(Aside("window", "overlay.show_windows:show_windows", config.overlay))
    if config.run.status:
        page.append(Aside("push", "web.push:push", config.run, outlasts=True))
    return [*page, *delivering(config, of_files)]


def delivering(config: PipelineConfig, of_files: bool) -> list[Aside]:
    """Those of them that give away what lies on this host, and have something to do where no run is."""
    sinks = config.overlay.sinks or default_sinks()
    asides = []
    if config.overlay.upload:
        asides.append(Aside("upload", "overlay.upload:upload", _upload(config, of_files), delivers=True))
    if receivers := tuple(sink for sink in sinks if sink.partition(":")[0] in RECEIVERS):
        store = next(sink.removeprefix("sqlite:") for sink in sinks if sink.startswith("sqlite:"))
        asides.append(Aside("deliver", "events.deliver:deliver", DeliverConfig(store, receivers), delivers=True))
    return asides


def _upload(config: PipelineConfig, of_files: bool) -> UploadConfig:
    overlay = config.overlay
    return UploadConfig(
        target=overlay.upload.replace("{site}", config.run.site),
        endpoint=overlay.upload_endpoint,
        sinks=segmented(overlay, overlay.sinks),
        streams=tuple(source.name for source in config.sources),
        keep_days=overlay.record_days,
        keep_gb=overlay.record_gb,
        of_files=of_files,
    )
