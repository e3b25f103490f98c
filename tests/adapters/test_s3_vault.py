"""Backups in a bucket of a real S3 server, over wires that fail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.s3_stand_in import BUCKET, Wire, asking_for_keys, emptied, s3_server, wire_to
from trading_core.adapters.local_archive import manifest_text
from trading_core.adapters.s3_vault import S3Address, S3Vault
from trading_core.errors import BackupError
from trading_core.model.safekeeping import BackupManifest

PART = 5 * 1024 * 1024
AT = datetime(2025, 9, 10, 6, 40, tzinfo=UTC)
NAME = "trades-20250910T064000Z"
SECRET = "a-secret-that-nobody-may-read"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    emptied(server)
    return server


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    with wire_to(url) as wire:
        yield wire


def vault_at(url: str, *, seconds: float = 5.0, **changes: Any) -> S3Vault:
    address = S3Address(BUCKET, "ouroboros", url, "us-east-1", "an-access-key", SECRET)
    return S3Vault(replace(address, **changes), timeout_seconds=seconds, part_bytes=PART)


def made(folder: Path, content: bytes, name: str = NAME) -> tuple[BackupManifest, Path]:
    file = folder / f"{name}.duckdb"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return BackupManifest(name, AT, file.name, len(content), digest, 7), file


def small(folder: Path) -> tuple[BackupManifest, Path]:
    return made(folder, b"a small store" * 1000)


def large(folder: Path) -> tuple[BackupManifest, Path]:
    """Three parts, each another."""
    return made(folder, b"".join(bytes([n]) * PART for n in (1, 2)) + b"the last part")


def inside(url: str, name: str) -> httpx.Response:
    return ask(f"{url}/{BUCKET}/ouroboros/{name}")


def place(url: str, name: str, content: bytes) -> None:
    """Put a file there past us."""
    httpx.put(f"{url}/{BUCKET}/ouroboros/{name}", content=content, trust_env=False)


def ask(address: str) -> httpx.Response:
    """As somebody with keys, whom the server believes."""
    signed = "AWS4-HMAC-SHA256 Credential=k/20250910/us-east-1/s3/aws4_request"
    return httpx.get(address, headers={"Authorization": signed}, trust_env=False)


async def test_a_backup_arrives_with_its_manifest_and_comes_back(url, tmp_path):
    backup, file = small(tmp_path)
    vault = vault_at(url)

    kept = await vault.keep(backup, file)

    assert (kept.bytes_sent, kept.was_present) == (backup.bytes, False)
    assert await vault.manifests() == [NAME]
    assert inside(url, backup.file).content == file.read_bytes()
    assert json.loads(inside(url, f"{NAME}.json").content) == manifest_text(backup)
    assert await vault.fetch(NAME, tmp_path / "back") == backup
    assert (tmp_path / "back" / backup.file).read_bytes() == file.read_bytes()
    assert vault.place == f"s3://{BUCKET}/ouroboros at {url}"


async def test_what_is_there_with_the_right_checksum_is_not_sent_again(wire, tmp_path):
    backup, file = large(tmp_path)
    vault = vault_at(wire.url)
    assert (await vault.keep(backup, file)).bytes_sent == backup.bytes
    before = wire.sent

    kept = await vault.keep(backup, file)

    assert (kept.bytes_sent, kept.was_present) == (0, True)
    assert wire.sent - before < 20_000


async def test_what_is_there_with_another_checksum_is_sent_again(url, tmp_path):
    backup, file = small(tmp_path)
    damaged = b"x" * backup.bytes
    place(url, backup.file, damaged)

    kept = await vault_at(url).keep(backup, file)

    assert not kept.was_present
    assert inside(url, backup.file).content == file.read_bytes()


async def test_after_a_cut_only_what_is_missing_is_sent(wire, url, tmp_path):
    backup, file = large(tmp_path)
    wire.cut_after = PART + PART // 2
    with pytest.raises(BackupError, match="connection failed or was cut"):
        await vault_at(wire.url).keep(backup, file)
    assert await vault_at(url).manifests() == []
    wire.cut_after, wire.sent = None, 0

    kept = await vault_at(wire.url).keep(backup, file)

    assert kept.bytes_sent == backup.bytes - PART
    assert wire.sent < backup.bytes - PART // 2
    assert inside(url, backup.file).content == file.read_bytes()
    assert await vault_at(url).manifests() == [NAME]
    unfinished = ask(f"{url}/{BUCKET}?uploads")
    assert unfinished.status_code == 200 and "<UploadId>" not in unfinished.text


async def test_the_source_is_not_touched_by_an_upload_that_fails(wire, tmp_path):
    backup, file = large(tmp_path)
    wire.cut_after = 0
    with pytest.raises(BackupError):
        await vault_at(wire.url).keep(backup, file)

    assert hashlib.sha256(file.read_bytes()).hexdigest() == backup.sha256


async def test_a_byte_that_changes_on_the_way_is_not_taken_for_the_backup(wire, tmp_path):
    backup, file = small(tmp_path)
    wire.change = lambda data: data.replace(b"small store", b"smell store")

    with pytest.raises(BackupError, match=f"s3://{BUCKET}"):
        await vault_at(wire.url).keep(backup, file)

    wire.change = lambda data: data
    assert await vault_at(wire.url).manifests() == []


async def test_where_etags_are_not_checksums_it_is_read_back(url, tmp_path, monkeypatch):
    backup, file = small(tmp_path)
    monkeypatch.setattr("trading_core.adapters.s3_vault._etag", lambda file, part: '"another"')

    assert (await vault_at(url).keep(backup, file)).bytes_sent == backup.bytes

    other = replace(backup, sha256="0" * 64)
    with pytest.raises(BackupError, match="did not arrive whole"):
        await vault_at(url).keep(other, file)


async def test_wrong_keys_are_said_to_be_wrong_and_are_not_shown(url, tmp_path):
    backup, file = small(tmp_path)
    with asking_for_keys(url), pytest.raises(BackupError, match="S3_ACCESS_KEY") as caught:
        await vault_at(url).keep(backup, file)

    assert SECRET not in str(caught.value) and "an-access-key" not in str(caught.value)
    assert SECRET not in repr(S3Address(BUCKET, secret=SECRET))


async def test_a_missing_bucket_is_named(url, tmp_path):
    backup, file = small(tmp_path)
    for work in (
        vault_at(url, bucket="gone").keep(backup, file),
        vault_at(url, bucket="gone").manifests(),
    ):
        with pytest.raises(BackupError, match=r"s3://gone.*there is no such bucket"):
            await work


async def test_a_server_that_does_not_answer_is_given_up(wire, tmp_path):
    backup, file = small(tmp_path)
    wire.stall = True

    with pytest.raises(BackupError, match=r"no answer within 0\.3 s"):
        await vault_at(wire.url, seconds=0.3).keep(backup, file)


async def test_no_server_at_all_is_a_connection_that_failed(tmp_path):
    backup, file = small(tmp_path)

    with pytest.raises(BackupError, match=r"connection failed.*S3_ENDPOINT_URL"):
        await vault_at("http://127.0.0.1:9").keep(backup, file)


async def test_a_backup_that_is_removed_leaves_the_others(url, tmp_path):
    vault = vault_at(url)
    for name in (NAME, "trades-20250911T064000Z"):
        await vault.keep(*made(tmp_path, b"content", name))

    await vault.remove(NAME)

    assert await vault.manifests() == ["trades-20250911T064000Z"]
    assert inside(url, f"{NAME}.duckdb").status_code == 404


async def test_a_file_without_its_manifest_is_no_backup(url, tmp_path):
    place(url, f"{NAME}.duckdb", b"half")

    assert await vault_at(url).manifests() == []
    with pytest.raises(BackupError, match="no whole backup"):
        await vault_at(url).fetch(NAME, tmp_path)
