"""Backups in an S3-compatible bucket, through s3fs.

A large file goes in parts; a cut leaves the parts that arrived, and the next try sends the others.
S3 checks every part against its MD5, and in the end the whole object is compared by size and ETag:
the MD5 of the file, or of the MD5s of its parts followed by their number (Amazon S3 User Guide,
"Checking object integrity"). Where a server makes its ETags otherwise, the file is read back and
its sha256 compared. The manifest is sent last: a backup without one does not count.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trading_core.adapters.local_archive import manifest_text, read_manifest
from trading_core.errors import BackupError
from trading_core.model.safekeeping import BackupManifest
from trading_core.ports.safekeeping import Kept, Progress, no_progress

PART_BYTES = 8 * 1024 * 1024
_TRIES = 2
_GONE = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where the bucket is. Without keys the usual places of AWS are asked for them."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    key: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return f"S3Address({self.place})"

    @property
    def place(self) -> str:
        """``s3://bucket/prefix``, with the endpoint where it is not AWS's own."""
        where = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return f"{where} at {self.endpoint}" if self.endpoint else where

    def key_of(self, name: str) -> str:
        return f"{self.prefix}/{name}".lstrip("/")


class S3Vault:
    """The ``Vault`` port over one bucket.

    Args:
        address: Where it is.
        timeout_seconds: How long one request may be without an answer.
        part_bytes: Size of a part; S3 takes no less than 5 MiB but for the last.
        progress: Told of long work.
    """

    def __init__(
        self,
        address: S3Address,
        *,
        timeout_seconds: float = 20.0,
        part_bytes: int = PART_BYTES,
        progress: Progress = no_progress,
    ) -> None:
        self._address = address
        self._timeout = timeout_seconds
        self._part = part_bytes
        self._progress = progress

    @property
    def place(self) -> str:
        return self._address.place

    async def manifests(self) -> Sequence[str]:
        """Ids of the backups that have a manifest, newest first."""
        async with self._opened() as bucket:
            names = [name async for name in bucket.names()]
        found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return sorted((name for name in found if name.startswith("trades-")), reverse=True)

    async def keep(self, backup: BackupManifest, file: Path) -> Kept:
        """Send the parts that are not there, compare, then send the manifest.

        Raises:
            BackupError: it did not arrive whole; what did arrive is not sent again next time.
        """
        async with self._opened() as bucket:
            expected = _etag(file, self._part)
            head = await bucket.head(backup.file)
            present = head is not None and _same(head, backup, expected)
            sent = 0 if present else await self._send(bucket, backup, file)
            head = await bucket.head(backup.file)
            if head is None or not _same(head, backup, expected):
                await self._read_back(bucket, backup, head)
            text = json.dumps(manifest_text(backup), indent=1).encode() + b"\n"
            await bucket.put(backup.sidecar, text, {})
            await bucket.forget_unfinished()
        return Kept(sent, present)

    async def fetch(self, backup_id: str, folder: Path) -> BackupManifest:
        """Bring a backup and its manifest into ``folder``; its checksum is for who opens it."""
        async with self._opened() as bucket:
            try:
                text = await bucket.get(f"{backup_id}.json")
                backup = read_manifest(text)
            except FileNotFoundError:
                raise BackupError(f"{self.place} has no whole backup {backup_id}") from None
            except (ValueError, TypeError, KeyError):
                raise BackupError(f"the manifest of {backup_id} cannot be read") from None
            done = 0
            while done < backup.bytes:
                last = min(done + self._part, backup.bytes) - 1
                try:
                    piece = await bucket.get(backup.file, f"bytes={done}-{last}")
                except FileNotFoundError:
                    raise BackupError(f"{self.place} has lost {backup.file}") from None
                if not piece:
                    raise BackupError(f"{self.place}/{backup.file} ends after {done} bytes")
                _write(folder / backup.file, piece, is_first=done == 0)
                done += len(piece)
                self._progress("download", done, backup.bytes)
            _write(folder / backup.sidecar, text, is_first=True)
        return backup

    async def remove(self, backup_id: str) -> None:
        """Delete a backup, its manifest first."""
        async with self._opened() as bucket:
            names = [n async for n in bucket.names(backup_id) if n.startswith(f"{backup_id}.")]
            for name in sorted(names, key=lambda name: not name.endswith(".json")):
                await bucket.delete(name)

    async def _send(self, bucket: _Bucket, backup: BackupManifest, file: Path) -> int:
        """The bytes that went over the wire."""
        meta = {"sha256": backup.sha256, "rows": str(backup.rows)}
        if backup.bytes <= self._part:
            [(_, whole)] = _parts(file, self._part)
            await bucket.put(backup.file, whole, meta)
            self._progress("upload", backup.bytes, backup.bytes)
            return backup.bytes
        upload, there = await bucket.unfinished(backup.file)
        upload = upload or await bucket.begin(backup.file, meta)
        parts, sent, done = [], 0, 0
        for number, piece in _parts(file, self._part):
            digest = hashlib.md5(piece, usedforsecurity=False)
            etag = f'"{digest.hexdigest()}"'
            if there.get(number) != etag:
                await bucket.send_part(backup.file, upload, number, piece, digest.digest())
                sent += len(piece)
            done += len(piece)
            parts.append({"PartNumber": number, "ETag": etag})
            self._progress("upload", done, backup.bytes)
        await bucket.finish(backup.file, upload, parts)
        return sent

    async def _read_back(
        self, bucket: _Bucket, backup: BackupManifest, head: Mapping[str, Any] | None
    ) -> None:
        """For servers whose ETag is not the MD5."""
        digest, done = hashlib.sha256(), 0
        size = int(head["ContentLength"]) if head else 0
        while done < size:
            piece = await bucket.get(backup.file, f"bytes={done}-{done + self._part - 1}")
            digest.update(piece)
            done += len(piece)
        if digest.hexdigest() != backup.sha256:
            await bucket.delete(backup.file)
            raise BackupError(f"{backup.file} did not arrive whole in {self.place}; sent again")

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[_Bucket]:
        """The bucket; whatever goes wrong inside is one line that says what to do."""
        import s3fs

        address = self._address
        files = s3fs.S3FileSystem(
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
            key=address.key,
            secret=address.secret,
            endpoint_url=address.endpoint,
            client_kwargs={"region_name": address.region} if address.region else {},
            config_kwargs={
                "connect_timeout": self._timeout,
                "read_timeout": self._timeout,
                "retries": {"total_max_attempts": 1},
                # Servers other than AWS's may not know the newer checksums; parts carry their MD5.
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
                "s3": {"addressing_style": "path" if address.endpoint else "auto"},
            },
        )
        files.retries = _TRIES
        try:
            session = await files.set_session()
            try:
                yield _Bucket(files, address)
            finally:
                await session.close()
        except BackupError:
            raise
        except Exception as error:
            raise BackupError(_words(error, address, self._timeout)) from error


class _Bucket:
    """The S3 calls that are needed, on names below the prefix."""

    def __init__(self, files: Any, address: S3Address) -> None:
        self._files = files
        self._address = address

    async def _call(self, method: str, name: str | None = None, **more: Any) -> Any:
        where = {"Bucket": self._address.bucket}
        if name is not None:
            where["Key"] = self._address.key_of(name)
        return await self._files._call_s3(method, **where, **more)

    async def names(self, prefix: str = "") -> AsyncIterator[str]:
        base = self._address.key_of("")
        more: dict[str, Any] = {}
        while True:
            page = await self._call("list_objects_v2", Prefix=base + prefix, **more)
            for item in page.get("Contents", ()):
                yield str(item["Key"]).removeprefix(base)
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    async def head(self, name: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await self._call("head_object", name)
        except FileNotFoundError:
            return None
        return found

    async def get(self, name: str, span: str | None = None) -> bytes:
        more = {"Range": span} if span else {}
        answer = await self._call("get_object", name, **more)
        async with answer["Body"] as body:
            data: bytes = await body.read()
        return data

    async def put(self, name: str, data: bytes, meta: Mapping[str, str]) -> None:
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        await self._call(
            "put_object", name, Body=data, Metadata=dict(meta), ContentMD5=_base64(digest)
        )

    async def delete(self, name: str) -> None:
        await self._call("delete_object", name)

    async def unfinished(self, name: str) -> tuple[str, dict[int, str]]:
        """The newest upload of a file that was cut, and the ETags of its parts by number."""
        key = self._address.key_of(name)
        found = [item for item in await self._uploads() if item["Key"] == key]
        if not found:
            return "", {}
        upload = str(max(found, key=lambda item: item["Initiated"])["UploadId"])
        parts: dict[int, str] = {}
        more: dict[str, Any] = {}
        while True:
            page = await self._call("list_parts", name, UploadId=upload, **more)
            parts |= {int(p["PartNumber"]): str(p["ETag"]) for p in page.get("Parts", ())}
            if not page.get("IsTruncated"):
                return upload, parts
            more = {"PartNumberMarker": page["NextPartNumberMarker"]}

    async def begin(self, name: str, meta: Mapping[str, str]) -> str:
        begun = await self._call("create_multipart_upload", name, Metadata=dict(meta))
        return str(begun["UploadId"])

    async def send_part(
        self, name: str, upload: str, number: int, piece: bytes, digest: bytes
    ) -> None:
        await self._call(
            "upload_part",
            name,
            UploadId=upload,
            PartNumber=number,
            Body=piece,
            ContentMD5=_base64(digest),
        )

    async def finish(self, name: str, upload: str, parts: Sequence[Mapping[str, Any]]) -> None:
        await self._call(
            "complete_multipart_upload",
            name,
            UploadId=upload,
            MultipartUpload={"Parts": list(parts)},
        )

    async def forget_unfinished(self) -> None:
        """Drop the parts of uploads that nobody will finish; they are paid for."""
        for item in await self._uploads():
            name = str(item["Key"]).removeprefix(self._address.key_of(""))
            await self._call("abort_multipart_upload", name, UploadId=item["UploadId"])

    async def _uploads(self) -> list[dict[str, Any]]:
        page = await self._call("list_multipart_uploads", Prefix=self._address.key_of("trades-"))
        return list(page.get("Uploads", ()))


def _parts(file: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Pieces of a file, numbered from 1 as S3 does."""
    with file.open("rb") as source:
        number = 1
        while piece := source.read(size):
            yield number, piece
            number += 1


def _write(path: Path, piece: bytes, *, is_first: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb" if is_first else "ab") as file:
        file.write(piece)


def _etag(file: Path, part: int) -> str:
    """What S3 answers for a file that went up in parts of this size, or in one piece."""
    digests = [hashlib.md5(p, usedforsecurity=False).digest() for _, p in _parts(file, part)]
    if len(digests) <= 1:
        return f'"{(digests[0] if digests else hashlib.md5(b"").digest()).hex()}"'
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    return f'"{whole}-{len(digests)}"'


def _same(head: Mapping[str, Any], backup: BackupManifest, etag: str) -> bool:
    return int(head["ContentLength"]) == backup.bytes and head["ETag"] == etag


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


_REFUSED = {
    "InvalidAccessKeyId": "S3_ACCESS_KEY is not known there",
    "SignatureDoesNotMatch": "S3_SECRET_KEY does not belong to S3_ACCESS_KEY",
    "AccessDenied": "these keys may not do that; see S3_ACCESS_KEY and the bucket's policy",
    "NoSuchBucket": "there is no such bucket; make it, or correct S3_BUCKET_NAME",
    "403": "the keys were refused; see S3_ACCESS_KEY and S3_SECRET_KEY",
    "ExpiredToken": "the keys have expired",
    "PermanentRedirect": "the bucket is in another region; set S3_REGION",
    "AuthorizationHeaderMalformed": "the bucket is in another region; set S3_REGION",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
    "QuotaExceeded": "the bucket is full",
}


def _words(error: Exception, address: S3Address, timeout: float) -> str:
    """One line: where, what, and what to do. No text of the server's, which may quote a key."""
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) and before not in chain:
        chain.append(before)
    for link in chain:
        response = getattr(link, "response", None)
        code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
        if code:
            return f"{address.place}: {_REFUSED.get(code, f'the server answered {code}')}"
    names = " ".join(type(link).__name__ for link in chain)
    if "Timeout" in names:
        return f"{address.place}: no answer within {timeout:g} s; tried again with the next backup"
    if "NoCredentials" in names or "PartialCredentials" in names:
        return f"{address.place}: no keys; set S3_ACCESS_KEY and S3_SECRET_KEY"
    if "Connect" in names or "Connection" in names or "Payload" in names or "Closed" in names:
        return f"{address.place}: the connection failed or was cut; see S3_ENDPOINT_URL"
    return f"{address.place}: {type(error).__name__}; the local backup is not touched by this"
