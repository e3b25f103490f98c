"""Encryption of order notices: AES-256-CBC with PKCS#7 padding, in base64."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cipher:
    """Key (32 characters) and first block (16 characters), both used as their ASCII bytes."""

    key: str = field(repr=False)
    iv: str = field(repr=False)

    @classmethod
    def fresh(cls) -> Cipher:
        """A pair nobody has seen."""
        return cls(secrets.token_hex(16), secrets.token_hex(8))

    def encrypt(self, text: str) -> str:
        # Loaded with the first notice; most twins never send one.
        from cryptography.hazmat.primitives.ciphers import Cipher as Aes
        from cryptography.hazmat.primitives.ciphers import algorithms, modes
        from cryptography.hazmat.primitives.padding import PKCS7

        padding = PKCS7(algorithms.AES256.block_size).padder()
        padded = padding.update(text.encode()) + padding.finalize()
        sealer = Aes(algorithms.AES256(self.key.encode()), modes.CBC(self.iv.encode())).encryptor()
        return base64.b64encode(sealer.update(padded) + sealer.finalize()).decode()
