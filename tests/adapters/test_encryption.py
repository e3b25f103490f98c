"""Files sealed with a pass phrase."""

from __future__ import annotations

import pytest

from trading_core.adapters.encryption import PIECE, decrypt, encrypt, is_encrypted
from trading_core.errors import BackupError

PHRASE = "correct horse battery staple"
HEADER = 47


@pytest.fixture
def sealed(tmp_path):
    """Two whole pieces and a bit."""
    (tmp_path / "plain").write_bytes(bytes(range(256)) * (2 * PIECE // 256) + b"the end")
    encrypt(tmp_path / "plain", tmp_path / "sealed", PHRASE)
    return tmp_path / "sealed"


def opened(sealed, phrase=PHRASE):
    target = sealed.with_name("opened")
    target.unlink(missing_ok=True)
    decrypt(sealed, target, phrase)
    return target.read_bytes()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1])
def test_what_was_sealed_comes_out_again(tmp_path, size):
    content = b"\x07" * size
    (tmp_path / "plain").write_bytes(content)
    encrypt(tmp_path / "plain", tmp_path / "sealed", PHRASE)

    assert opened(tmp_path / "sealed") == content
    assert is_encrypted(tmp_path / "sealed") and not is_encrypted(tmp_path / "plain")


def test_nothing_of_the_content_can_be_read_and_no_two_are_alike(sealed, tmp_path):
    encrypt(tmp_path / "plain", tmp_path / "again", PHRASE)

    assert b"the end" not in sealed.read_bytes()
    assert sealed.read_bytes()[HEADER:] != (tmp_path / "again").read_bytes()[HEADER:]


def test_another_phrase_is_told_from_a_damaged_file(sealed):
    with pytest.raises(BackupError, match="another BACKUP_ENCRYPTION_KEY"):
        opened(sealed, PHRASE + "!")


@pytest.mark.parametrize("where", [HEADER - 3, HEADER + 5, PIECE + 300, -1])
def test_a_changed_byte_is_noticed(sealed, where):
    content = bytearray(sealed.read_bytes())
    content[where] ^= 1
    sealed.write_bytes(content)

    with pytest.raises(BackupError, match="changed or cut"):
        opened(sealed)


def test_a_file_cut_at_the_end_of_a_piece_is_noticed(sealed):
    sealed.write_bytes(sealed.read_bytes()[: HEADER + 2 * (PIECE + 16)])

    with pytest.raises(BackupError, match="changed or cut"):
        opened(sealed)


def test_pieces_that_changed_places_are_noticed(sealed):
    content, step = sealed.read_bytes(), PIECE + 16
    first, second = content[HEADER : HEADER + step], content[HEADER + step : HEADER + 2 * step]
    sealed.write_bytes(content[:HEADER] + second + first + content[HEADER + 2 * step :])

    with pytest.raises(BackupError, match="changed or cut"):
        opened(sealed)


def test_another_file_is_said_to_be_none(tmp_path):
    (tmp_path / "sealed").write_bytes(b"something else, and longer than the header of one is")

    with pytest.raises(BackupError, match="not an encrypted backup"):
        opened(tmp_path / "sealed")
