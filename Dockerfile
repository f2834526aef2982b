# CPU, light: no torch. docker build -t maskstream . && docker run --rm -p 127.0.0.1:8080:8080 maskstream
FROM python:3.12-slim-bookworm

# what OpenCV's wheel needs of the system, and what labels beyond ASCII are drawn with (Latin, Greek, Cyrillic, Arabic,
# Hebrew; fonts-noto-cjk, 90 MB, has Chinese, Japanese and Korean); unpinned, for the fixes of the base image's release
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libxcb1 libgl1 libglib2.0-0 fonts-dejavu-core libfribidi0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/maskstream
COPY . .
RUN pip install --no-cache-dir --editable '.[mqtt,nats,postgres,s3]' \
    && useradd --create-home --uid 1000 --groups video watcher \
    && install -d -o watcher /data

# ONNX Runtime reports to Microsoft unless told not to; maskstream tells it, this is for whatever else runs here
ENV ORT_DISABLE_TELEMETRY=1
USER 1000
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-m", "web.alive"]
# Beyond loopback everything asks for the token: MASKSTREAM_TOKEN, or the one in the log.
ENTRYPOINT ["maskstream"]
CMD ["run", "--source", "demo", "--realtime", "--loop", "--sink", "web", "--host", "0.0.0.0", "--log", "json"]
