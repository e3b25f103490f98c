"""Takes the broker's WebSocket frames apart: control messages in JSON, data in ``|`` and ``^``.

A data frame is ``flag|TR id|count|payload``; the flag says whether the payload is encrypted, and
the payload holds ``count`` records one after the other without a mark between them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trading_core.adapters.kis.stream_layouts import STREAMS, Stream

_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)
_KEY_BYTES = 32
_IV_BYTES = 16

PINGPONG = "PINGPONG"


class Garbled(Exception):
    """A frame that no value may be made of; ``kind`` is a word to count it under."""

    def __init__(self, kind: str, tr_id: str = "") -> None:
        super().__init__(f"{kind} {tr_id}".strip())
        self.kind = kind
        self.tr_id = tr_id


@dataclass(frozen=True, slots=True)
class Cipher:
    """What a TR's payloads are encrypted with, as its last acknowledgement named it."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)

    @classmethod
    def of(cls, output: object) -> Cipher | None:
        """From the ``output`` of an acknowledgement; None when it has no usable pair."""
        if not isinstance(output, dict):
            return None
        key, iv = output.get("key"), output.get("iv")
        if not isinstance(key, str) or not isinstance(iv, str):
            return None
        pair = cls(key.encode(), iv.encode())
        return pair if (len(pair.key), len(pair.iv)) == (_KEY_BYTES, _IV_BYTES) else None

    def decrypt(self, payload: str, tr_id: str) -> str:
        """AES-256-CBC with PKCS#7 padding (RFC 5652, section 6.3), in base64.

        Raises:
            Garbled: the text is not base64, or not encrypted with this pair.
        """
        # Loaded by those who are sent something encrypted.
        from cryptography.hazmat.primitives.ciphers import Cipher as Aes
        from cryptography.hazmat.primitives.ciphers import algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        try:
            sealed = base64.b64decode(payload, validate=True)
            opener = Aes(algorithms.AES256(self.key), modes.CBC(self.iv)).decryptor()
            padded = opener.update(sealed) + opener.finalize()
            padding = PKCS7(algorithms.AES256.block_size).unpadder()
            plain = padding.update(padded) + padding.finalize()
        except (binascii.Error, ValueError):
            raise Garbled("cipher", tr_id) from None
        # A security's name may be cut in the middle of a character; numbers are plain ASCII.
        return plain.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Control:
    """A JSON message: a heartbeat (``tr_id`` is ``PINGPONG``) or the answer to a registration."""

    tr_id: str
    tr_key: str = field(repr=False)
    ok: bool
    code: str
    message: str
    cipher: Cipher | None


def read_control(text: str) -> Control:
    """Raises ``Garbled`` when it is not such a message."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise Garbled("control") from None
    header = content.get("header") if isinstance(content, dict) else None
    if not isinstance(header, dict):
        raise Garbled("control")
    body = content.get("body")
    body = body if isinstance(body, dict) else {}
    return Control(
        tr_id=_text(header, "tr_id"),
        tr_key=_text(header, "tr_key"),
        ok=_text(body, "rt_cd") == "0",
        code=_text(body, "msg_cd"),
        message=" ".join(_text(body, "msg1").split()),
        cipher=Cipher.of(body.get("output")),
    )


def _text(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return value.strip() if isinstance(value, str) else ""


def read_frame(
    text: str, ciphers: Mapping[str, Cipher]
) -> tuple[str, Stream, Sequence[Mapping[str, str]]]:
    """A data frame as its TR id, what that TR is, and all its records by field name.

    Raises:
        Garbled: any of it is not as it should be; then none of it is used.
    """
    parts = text.split("|", 3)
    if len(parts) != 4 or parts[0] not in ("0", "1"):
        raise Garbled("frame")
    flag, tr_id, number, payload = parts
    stream = STREAMS.get(tr_id)
    if stream is None:
        raise Garbled("unknown TR")
    if _COUNT.fullmatch(number) is None or int(number) == 0:
        raise Garbled("count", tr_id)
    if flag == "1":
        cipher = ciphers.get(tr_id)
        if cipher is None:
            raise Garbled("cipher", tr_id)
        payload = cipher.decrypt(payload, tr_id)
    return tr_id, stream, _records(payload, int(number), tr_id, stream)


def _records(payload: str, count: int, tr_id: str, stream: Stream) -> list[Mapping[str, str]]:
    values = payload.split("^")
    width, left = divmod(len(values), count)
    layout = None if left else stream.layout(width)
    if layout is None:
        raise Garbled("width", tr_id)
    # strict=False: fields that were added at the tail have no name here yet.
    return [
        dict(zip(layout.names, values[first : first + width], strict=False))
        for first in range(0, len(values), width)
    ]
