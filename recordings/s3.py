"""A bucket of S3, at AWS or elsewhere: files go up, and are there only when the bucket says the same digest."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import os
import re
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from configs.errors import InputError
from configs.loopback import is_loopback
from configs.redact import learn_secret, redact
from configs.references import resolve

if TYPE_CHECKING:
    from botocore.exceptions import BotoCoreError, ClientError

PART_BYTES = 32 << 20  # larger files go up in parts of this size: each is checked, and tried again, by itself
MOST_PARTS = 10_000  # of one object
TIMEOUT_S = 5.0  # to connect
ANSWER_S = 30.0
DIGEST = "maskstream-etag"  # what the object's ETag must be, in its metadata: encryption by KMS makes others
PLACEHOLDERS = ("{site}", "{stream}")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_ETAG = re.compile(r"[0-9a-f]{32}(-\d+)?")
_FINAL = {  # answers that will be the same tomorrow, and what to do
    "NoSuchBucket": "there is no such bucket: make it, or name another one",
    "InvalidBucketName": "no bucket can have this name",
    "InvalidAccessKeyId": "it does not know this key: see AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong: see AWS_SECRET_ACCESS_KEY",
}


class NotStored(Exception):
    """A file is not in the bucket. `answered`: the bucket said no, else it could not be reached."""

    def __init__(self, reason: str, answered: bool = False) -> None:
        super().__init__(reason)
        self.answered = answered


class Bucket:
    """The bucket of an `s3://BUCKET/PREFIX`. Keys come from where AWS's own tools find them."""

    def __init__(self, target: str, endpoint: str) -> None:
        self.target, self._endpoint = target, endpoint
        self._bucket, self._prefix = bucket_and_prefix(target)
        self._client = self._opened()

    def _opened(self) -> Any:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        there = self._endpoint and is_loopback(urlsplit(self._endpoint).hostname or "")
        config = Config(
            connect_timeout=TIMEOUT_S,
            read_timeout=ANSWER_S,
            retries={"total_max_attempts": 1},  # what is tried again, and when, is decided where all files are known
            request_checksum_calculation="when_required",  # Content-MD5 is understood everywhere, newer ones are not
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if self._endpoint else {},
            **({"proxies": {}} if there else {}),  # else http_proxy would get what is for this machine
        )
        names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        given = dict(zip(names, _keys(), strict=True))
        try:
            return boto3.Session().client("s3", endpoint_url=self._endpoint or None, config=config, **given)
        except (BotoCoreError, ValueError) as error:
            raise InputError(f"overlay.upload {self.target}: {error}") from None

    def check(self) -> None:
        """Ask for the bucket. Raises InputError where it will never take files, NotStored if it cannot be reached."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            NoCredentialsError,
            ParamValidationError,
            PartialCredentialsError,
        )

        try:
            self._client.list_objects_v2(Bucket=self._bucket, MaxKeys=1)
        except (NoCredentialsError, PartialCredentialsError):
            needed = "no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what AWS's own tools read"
            raise InputError(f"overlay.upload {self.target}: {needed}") from None
        except ParamValidationError:
            raise InputError(f"overlay.upload {self.target}: {_FINAL['InvalidBucketName']}") from None
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _FINAL:
                raise InputError(f"overlay.upload {self.target}: {_FINAL[code]}") from None
            if code != "AccessDenied":  # who may put files need not be allowed to list them
                raise _not_stored(error) from None
        except BotoCoreError as error:
            raise _not_stored(error) from None

    def holds(self, key: str, size: int, etag: str) -> bool | None:
        """Whether an object is a file of this size and digest; None: there is none. Raises NotStored."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey", "403"):  # 403: it may not be listed
                return None
            raise _not_stored(error) from None
        except BotoCoreError as error:
            raise _not_stored(error) from None
        same = found["ContentLength"] == size and found["Metadata"].get(DIGEST) == etag
        is_coded = "SSECustomerAlgorithm" in found or found.get("ServerSideEncryption", "").startswith("aws:kms")
        said = found["ETag"].strip('"')
        return same and (is_coded or said == etag or not _ETAG.fullmatch(said))

    def put(self, file: BinaryIO, key: str, size: int, etag: str) -> None:
        """Upload a file, and see that it is there. Raises NotStored, and OSError where it cannot be read."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            if size <= PART_BYTES:
                self._put_whole(file, key, etag)
            else:
                self._put_parts(file, key, size, etag)
        except (BotoCoreError, ClientError) as error:
            raise _not_stored(error) from None
        if not self.holds(key, size, etag):
            raise NotStored(f"{key} is not there as it was sent (may it be read back? s3:GetObject)", answered=True)

    def _put_whole(self, file: BinaryIO, key: str, etag: str) -> None:
        file.seek(0)
        data, kind = file.read(), _kind(key)
        self._client.put_object(
            Bucket=self._bucket, Key=key, Body=data, ContentMD5=_coded(data), Metadata={DIGEST: etag}, ContentType=kind
        )

    def _put_parts(self, file: BinaryIO, key: str, size: int, etag: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        whole = {"Bucket": self._bucket, "Key": key}
        begun = self._client.create_multipart_upload(**whole, Metadata={DIGEST: etag}, ContentType=_kind(key))
        whole["UploadId"] = begun["UploadId"]
        try:
            file.seek(0)
            parts: list[dict[str, Any]] = []
            while data := file.read(part_bytes(size)):
                number = len(parts) + 1
                done = self._client.upload_part(**whole, PartNumber=number, Body=data, ContentMD5=_coded(data))
                parts.append({"PartNumber": number, "ETag": done["ETag"]})
            self._client.complete_multipart_upload(**whole, MultipartUpload={"Parts": parts})
        except BaseException:
            with contextlib.suppress(BotoCoreError, ClientError):  # it is away: a rule of the bucket removes the rest
                self._client.abort_multipart_upload(**whole)
            raise


def etag_of(file: BinaryIO, size: int) -> str:
    """The ETag that S3 gives this file: its MD5, or that of its parts' MD5s and how many they are."""
    file.seek(0)
    digests = []
    while data := file.read(part_bytes(size)):
        digests.append(md5(data, usedforsecurity=False).digest())
    if size <= PART_BYTES:
        return (digests[0] if digests else md5(b"", usedforsecurity=False).digest()).hex()
    return f"{md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def part_bytes(size: int) -> int:
    """How large the parts of a file are.

    >>> part_bytes(10 << 30) >> 20, part_bytes(1 << 40) >> 20
    (32, 104)
    """
    return max(PART_BYTES, -(-size // MOST_PARTS))


def _coded(data: bytes) -> str:
    return base64.b64encode(md5(data, usedforsecurity=False).digest()).decode()


def _kind(key: str) -> str:
    return {".mp4": "video/mp4", ".vtt": "text/vtt"}.get(Path(key).suffix, "application/x-ndjson")


def _not_stored(error: BotoCoreError | ClientError) -> NotStored:
    """What a library of AWS raised, in words."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return NotStored(redact(re.sub(r"\?[^\s\"]*", "", " ".join(str(error).split()))))
    told = error.response.get("Error", {})
    code = str(told.get("Code", ""))
    return NotStored(_FINAL.get(code) or f"it answers {code}: {told.get('Message', '')}", answered=True)


def _keys() -> list[str | None]:
    """The keys, where one of them stands in a file, which AWS's tools do not read; else none: they find them."""
    found = []
    for name in _KEYS:
        value = os.environ.get(name, "")
        try:
            found.append(resolve(value) if value.startswith("file:/") else value)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
    learn_secret(*filter(None, found[1:]))
    is_ours = any(os.environ.get(name, "").startswith("file:/") for name in _KEYS)
    return [value if is_ours and value else None for value in found]


def bucket_and_prefix(target: str) -> tuple[str, str]:
    """The parts of an address of recordings.

    >>> bucket_and_prefix("s3://video/north/{stream}")
    ('video', 'north/{stream}/')
    """
    bucket, _, prefix = target.removeprefix("s3://").partition("/")
    prefix = "/".join(part for part in prefix.split("/") if part)
    return bucket, f"{prefix}/" if prefix else ""


def check_target(target: str, endpoint: str, site: str) -> None:
    """Refuse what is no place for recordings, or lacks the library; raises InputError."""
    called = f"overlay.upload {redact(target)!r}"
    unknown = [found for found in re.findall(r"\{[^}]*\}?|\}", target) if found not in PLACEHOLDERS]
    bucket, _ = bucket_and_prefix(target)
    if not target.startswith("s3://") or not bucket or set("{}@?#") & set(bucket):
        raise InputError(f"{called}: write it as s3://BUCKET/{{site}}/{{stream}}/; keys come from the environment")
    if unknown:
        raise InputError(f"{called}: {unknown[0]} stands for nothing: use {', '.join(PLACEHOLDERS)}")
    if "{site}" in target and not site:
        raise InputError(f"{called}: which site is this? Set run.site, or leave {{site}} out")
    if "{site}" in target and not re.fullmatch(r"[\w.-]+", site):
        raise InputError(f"run.site {site!r}: for a key give letters, digits, dots, - and _ only")
    try:
        parts = urlsplit(endpoint)
        good = not endpoint or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"overlay.upload_endpoint {redact(endpoint)!r}: write it as https://HOST:PORT")
    if importlib.util.find_spec("boto3") is None:
        raise InputError(f"{called} needs boto3, the extra [s3]: pip install 'boto3>=1.36'")
