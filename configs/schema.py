"""Every option of the pipeline: its type, unit, default and the reason to change it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from configs.option import option
from configs.run_schema import RunConfig

LIVE_TICKETS = 6  # a few more than stages
FILE_TICKETS = 18  # age does not matter: both cores are busy while ResNet50 classifies (183 frames/s; of 12: 162)
USUAL_WIDTH_PX = 320  # of pictures that are searched
Pixels = Annotated[int, Meta(ge=16)]
Rate = Annotated[float, Meta(gt=0)]
Preference = Literal["balanced", "few-misses", "few-alarms"]
BALANCED: Preference = "balanced"


class SourceConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One source of pictures; one capture process each."""

    source: Annotated[str, option("what is watched, as `--source` has it")]
    record: Annotated[
        str, option("another stream of the same camera, which a record: sink records instead; as rtsp://.../main")
    ] = ""
    name: Annotated[str, option("stream name in labels, logs and results; made from the source if empty")] = ""
    mode: Annotated[
        Literal["auto", "latest", "every"],
        option("latest: newest picture wins; every: none is lost; auto: latest for live sources, every for files"),
    ] = "auto"
    tickets: Annotated[
        Annotated[int, Meta(ge=1, le=64)] | None,
        option("frames of this source under way at once; fewer are fresher; empty: 6, of files 18"),
    ] = None
    mirror: Annotated[bool | None, option("flip left and right; empty: webcams are mirrored, others not")] = None
    width: Annotated[Pixels | None, option("picture width to ask of a webcam, px")] = None
    height: Annotated[Pixels | None, option("picture height to ask of a webcam, px")] = None
    fps: Annotated[
        Rate | None,
        option(
            "pictures that are looked at, 1/s at most, the others are skipped (of a film by its own time); asked of a "
            "webcam and of a snapshot URL (empty: 1)"
        ),
    ] = None
    still_fps: Annotated[
        Annotated[float, Meta(ge=1)] | Literal["auto", "all"],
        option(
            "pictures of a camera that go on, 1/s, while nothing moves before it and nobody is there; the "
            "others are skipped; all: each goes on; auto: 5, but all with overlay.privacy, and with a sink that "
            "writes or sends each picture (file:, rtsp:, images:, clips:, jsonl:)"
        ),
    ] = "auto"
    decode: Annotated[
        Literal["auto", "cpu", "cuda", "qsv"],
        option(
            "what decodes a film or a network camera; auto: NVIDIA's NVDEC or Intel's Quick Sync where one really "
            "opens, else the CPU"
        ),
    ] = "auto"
    max_age_ms: Annotated[
        float, option("send fewer frames of a live source before they get older than this, ms; 0: never", ge=0)
    ] = 0.0
    realtime: Annotated[bool, option("play a film or the demo at its own rate, as a live source")] = False
    loop: Annotated[bool, option("start a film, folder or the demo again at its end, for ever")] = False
    wait: Annotated[bool, option("keep trying when a camera cannot be reached at the start")] = False
    open_timeout_s: Annotated[float, option("give up opening a network source after this, s", gt=0)] = 5.0
    read_timeout_s: Annotated[
        float, option("a network source is lost after this silence, s, or after three of its own intervals", gt=0)
    ] = 5.0
    rtsp_transport: Annotated[Literal["tcp", "udp"], option("how RTSP carries the pictures")] = "tcp"


class DetectConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which detector looks for faces, how, and when; between two searches faces are followed."""

    detector: Annotated[str, option("what finds the faces, as `--detector` has it")] = "haar"
    model: Annotated[str, option("model file of the detector; yunet needs one; empty: that which ships")] = ""
    score: Annotated[
        Annotated[float, Meta(gt=0, lt=1)] | None,
        option("least score of a face, where a network gives one; empty: what suits the model"),
    ] = None

    every: Annotated[
        Annotated[int, Meta(ge=1)] | Literal["auto"],
        option("frames from one search to the next (1: each is searched); auto: 300 ms, live 100 to 250 ms"),
    ] = "auto"
    width: Annotated[
        Annotated[int, Meta(ge=64)] | Literal["auto"],
        option(
            "pictures wider than this are shrunk before the search, px; auto: 320, of cameras up to 1280 while there "
            "is time"
        ),
    ] = "auto"
    motion: Annotated[
        bool,
        option(
            "search a camera's picture each second, later each fourth, while nothing has moved in it for 2 s and no "
            "face is followed; false: as often as any"
        ),
    ] = True
    verify: Annotated[
        bool,
        option("look twice where haar and maskface see something; false: haar is OpenCV's usual cascade, to compare"),
    ] = True
    min_face: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        option(
            "smallest face, as a share of the picture's height; empty: any, but haar without verify 0.1 at a width of "
            "320 px, 0.05 at 640"
        ),
    ] = None
    candidates: Annotated[
        bool,
        option(
            "hide faces: also find what may be one, and let pictures wait for searches; overlay.privacy turns it on"
        ),
    ] = False
    max_face: Annotated[float, option("largest face, as a share of the picture's height", gt=0, le=1)] = 1.0
    device: Annotated[
        str,
        option(
            "of maskface and yunet: cpu, cuda, cuda:N, or auto: the best that is really there; haar has the CPU only"
        ),
    ] = "cpu"
    threads: Annotated[int, option("pictures searched at once; 0: from the budget of cores", ge=0)] = 0

    @property
    def width_px(self) -> int:
        """How wide pictures are followed in; and searched, where nothing else is chosen."""
        return USUAL_WIDTH_PX if self.width == "auto" else self.width


class ClassifyConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Classification of the face crops."""

    model: Annotated[str, option("model file, .onnx or .pth; empty: the model that ships with maskstream")] = ""
    classes: Annotated[
        tuple[str, ...], option("class names in the order of the model's outputs, where the file has none")
    ] = ()
    backbone: Annotated[
        Literal["", "ResNet", "BasicCNN", "ResNet18", "MobileNetV3", "FaceResNet", "EfficientNet", "FaceEnsemble"],
        option("network of a bare .pth state dict that does not tell its own"),
    ] = ""
    prefer: Annotated[
        Preference,
        option(
            "few-misses: half as many faces without a well-worn mask are called mask, at the price of more alarms; "
            "few-alarms: half as many well-worn masks are called otherwise; both on the model's validation faces"
        ),
    ] = BALANCED
    refresh_ms: Annotated[
        float,
        option("ask about a followed face again after this, ms, sooner if it changed; 0: whenever there is time", ge=0),
    ] = 600.0
    device: Annotated[str, option("cpu, cuda, cuda:N, or auto: the best that is really there")] = "cpu"
    max_batch: Annotated[int, option("faces in one forward pass, at most", ge=1, le=1024)] = 32
    wait_ms: Annotated[float, option("wait for more frames before a forward pass, ms; pays on a GPU", ge=0)] = 0.0
    threads: Annotated[int, option("CPU threads of the model; 0: from the budget of cores", ge=0)] = 0
    remote: Annotated[
        str,
        option(
            "inference server that holds the same model and is asked in its place, while it answers: "
            "http://HOST:8000/MODEL, Open Inference Protocol v2; empty: none"
        ),
    ] = ""
    remote_token: Annotated[str, option("secret that it wants, sent as Authorization: Bearer; empty: none")] = ""
    remote_ca: Annotated[
        str, option("certificates of the authorities that may vouch for it, PEM file; empty: those of the system")
    ] = ""
    remote_deadline_ms: Annotated[float, option("what it has not answered by then is classified locally, ms", gt=0)] = (
        300.0
    )


class OverlayConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Drawing, and where the result goes."""

    sinks: Annotated[
        tuple[str, ...],
        option(
            "window, web, file:OUT.mp4, record:FOLDER/, clips:FOLDER/, rtsp://HOST/PATH, images:FOLDER/, "
            "jsonl:OUT.jsonl, events:OUT.jsonl, sqlite:EVENTS.db, mqtt://HOST/TOPIC, nats://HOST/SUBJECT, "
            "postgres://USER@HOST/DATABASE, webhook:URL, contact:OUT.png, null; empty: window, web without a display"
        ),
    ] = ()
    corner: Annotated[bool, option("stream name, frame rate and age in a corner of the picture")] = True
    max_age_ms: Annotated[float, option("drop a live frame that is older than this, ms; 0: never", ge=0)] = 0.0
    privacy: Annotated[
        Literal["none", "blur", "pixelate"], option("hide all faces that are found, in every sink and event picture")
    ] = "none"
    segment: Annotated[
        str, option("file: and record: sinks begin a new video after this, as 10m; empty: one video, of record: 1m")
    ] = ""
    encoder: Annotated[
        Literal["auto", "x264", "nvenc", "qsv"],
        option("what encodes recordings; auto: NVENC or Quick Sync where one really opens, else x264 on the CPU"),
    ] = "auto"
    record_sound: Annotated[bool, option("record: sinks take the sound of a source, too")] = False
    record_clips: Annotated[bool, option("record: sinks cut a clip of each event out of what is recorded")] = True
    record_days: Annotated[float, option("segments and clips older than this are deleted, days; 0: never", ge=0)] = 0.0
    record_gb: Annotated[float, option("and the oldest where they take more than this, GB; 0: never", ge=0)] = 0.0
    upload: Annotated[
        str,
        option(
            "finished segments of file: and record: sinks go there, and are deleted here only when they are there; as "
            "s3://BUCKET/{site}/{stream}/"
        ),
    ] = ""
    upload_endpoint: Annotated[str, option("address of an S3 server that is not AWS's, as http://127.0.0.1:9000")] = ""
    clip_before_s: Annotated[float, option("a clip of an event begins this long before it, s", ge=0, le=60)] = 5.0
    clip_after_s: Annotated[float, option("and ends this long after it, s", gt=0, le=600)] = 5.0
    rules: Annotated[str, option("YAML file with rules that make events; empty: only decisions about persons do")] = ""
    events_days: Annotated[float, option("events in a sqlite: sink are kept for so many days", gt=0)] = 30.0
    events_mb: Annotated[float, option("and take at most so much of the disk, MB; the oldest go first", ge=1)] = 500.0
    event_pictures: Annotated[
        bool, option("keep and send the face's picture with an event; the page shows it anyway")
    ] = False
    web_fps: Annotated[float, option("pictures of a stream that pages get, 1/s at most", gt=0, le=120)] = 15.0
    web_width: Annotated[int, option("wider pictures are shrunk for pages, px", ge=160)] = 1280


class WebConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The page of `--sink web`, and what else is served beside it."""

    host: Annotated[str, option("address to listen on; any other than a loopback one asks everybody for the token")] = (
        "127.0.0.1"
    )
    port: Annotated[int, option("TCP port of the page", ge=1, le=65535)] = 8080
    token: Annotated[
        str, option("secret that lets in and allows changes; empty: MASKSTREAM_TOKEN, else one is made and shown once")
    ] = ""
    ready_age_ms: Annotated[
        float, option("/readyz says no while live frames are older than this when drawn (95 %), ms", gt=0)
    ] = 1000.0
    viewers: Annotated[int, option("pages and live streams that are served at once", ge=1, le=1000)] = 32
    url: Annotated[
        str,
        option(
            "behind a proxy: the address that browsers have of the page, as https://cams.example/mask/; several with "
            "blanks between; then everybody is asked for the token"
        ),
    ] = ""
    home_assistant: Annotated[
        str,
        option(
            "broker of Home Assistant, in which each stream appears by itself, as mqtt://user:password@192.0.2.2; "
            "empty: none"
        ),
    ] = ""
    home_assistant_pictures_s: Annotated[
        float, option("it gets a picture of each stream each so many seconds; 0: none", ge=0)
    ] = 0.0
    tls_cert: Annotated[
        str, option("certificate (chain) to speak TLS, PEM file; it is read again when it changes; empty: no TLS")
    ] = ""
    tls_key: Annotated[str, option("private key of tls_cert, PEM file; empty: it is in tls_cert")] = ""


class TraceConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is told to OpenTelemetry: where the time of one frame in so many went."""

    every: Annotated[int, option("one frame in so many of each stream is traced; 0: none", ge=0)] = 0
    endpoint: Annotated[str, option("collector that takes the traces: OTLP over HTTP, the whole address")] = (
        "http://127.0.0.1:4318/v1/traces"
    )


class PipelineConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole pipeline: one section per stage."""

    sources: tuple[SourceConfig, ...] = ()
    detect: DetectConfig = field(default_factory=DetectConfig)
    classify: ClassifyConfig = field(default_factory=ClassifyConfig)
    overlay: OverlayConfig = field(default_factory=OverlayConfig)
    web: WebConfig = field(default_factory=WebConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)
    run: RunConfig = field(default_factory=RunConfig)
