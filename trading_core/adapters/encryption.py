"""Files encrypted with a pass phrase, in pieces, so that neither size nor memory is a limit.

The file begins with a header of 47 bytes: ``OURO-BK1`` (8), the salt (16), a check of the key (16),
a nonce prefix (7). Then come pieces of 1 MiB, each sealed with AES-256-GCM, which adds 16 bytes;
the last one may be shorter. The nonce of a piece is the prefix, its number (4 bytes, big endian,
from 0) and one byte that is 1 for the last piece alone; the header is authenticated with every
piece. So a piece cannot be changed, moved, left out or cut off unnoticed: the STREAM construction
of Hoang, Reyhanitabar, Rogaway and Vizár, *Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance* (CRYPTO 2015). The key is scrypt (RFC 7914; N=2^15, r=8, p=1) of the pass phrase
and the salt, 48 bytes: 32 for AES and 16 that are the check.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from trading_core.errors import BackupError
from trading_core.ports.safekeeping import Progress, no_progress

MAGIC = b"OURO-BK1"
PIECE = 1024 * 1024
_SALT, _CHECK, _PREFIX, _TAG = 16, 16, 7, 16
_HEADER = len(MAGIC) + _SALT + _CHECK + _PREFIX


def is_encrypted(path: Path) -> bool:
    """Whether a file begins as an encrypted one does."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def encrypt(source: Path, target: Path, phrase: str, progress: Progress = no_progress) -> None:
    """Write ``source`` to ``target``, sealed with a key made of ``phrase``."""
    salt, prefix = os.urandom(_SALT), os.urandom(_PREFIX)
    key, check = _derived(phrase, salt)
    header = MAGIC + salt + check + prefix
    sealer, total = AESGCM(key), source.stat().st_size
    with source.open("rb") as plain, target.open("xb") as sealed:
        sealed.write(header)
        for number, piece, is_last in _pieces(plain, PIECE):
            sealed.write(sealer.encrypt(_nonce(prefix, number, is_last), piece, header))
            progress("encrypt", min((number + 1) * PIECE, total), total)


def decrypt(source: Path, target: Path, phrase: str, progress: Progress = no_progress) -> None:
    """Write what ``source`` holds to ``target``.

    Raises:
        BackupError: another phrase, or the file was changed or cut.
    """
    total = source.stat().st_size
    with source.open("rb") as sealed, target.open("xb") as plain:
        header = sealed.read(_HEADER)
        if len(header) < _HEADER or not header.startswith(MAGIC):
            raise BackupError(f"{source} is not an encrypted backup")
        salt = header[len(MAGIC) : len(MAGIC) + _SALT]
        key, check = _derived(phrase, salt)
        if not hmac.compare_digest(check, header[len(MAGIC) + _SALT : _HEADER - _PREFIX]):
            raise BackupError(
                f"{source} was encrypted with another BACKUP_ENCRYPTION_KEY; set the one it was "
                "made with"
            )
        opener, prefix = AESGCM(key), header[-_PREFIX:]
        for number, piece, is_last in _pieces(sealed, PIECE + _TAG):
            try:
                plain.write(opener.decrypt(_nonce(prefix, number, is_last), piece, header))
            except InvalidTag:
                raise BackupError(f"{source} was changed or cut after it was written") from None
            progress("decrypt", min((number + 1) * PIECE, total), total)


def _derived(phrase: str, salt: bytes) -> tuple[bytes, bytes]:
    made = Scrypt(salt=salt, length=32 + _CHECK, n=2**15, r=8, p=1).derive(phrase.encode())
    return made[:32], made[32:]


def _nonce(prefix: bytes, number: int, is_last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([is_last])


def _pieces(file: BinaryIO, size: int) -> Iterator[tuple[int, bytes, bool]]:
    """Number, bytes, whether it is the last; an empty file has one empty piece."""
    number, piece = 0, file.read(size)
    while True:
        following = file.read(size)
        yield number, piece, not following
        if not following:
            return
        number, piece = number + 1, following
