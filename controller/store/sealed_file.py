"""Large secrets as sealed files: sealed piece by piece as they come in, read at any place without the rest.

Pieces of 64 KiB, each XChaCha20-Poly1305 with its number and whether it is the last one as nonce, under a key
made for this file alone (the STREAM construction of Hoang and others, 2015): a piece that is changed, moved,
left out or cut off does not open. Who may read is decided by the seal key; names are not hidden.
"""

import hashlib
import json
import os
import secrets
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

from controller.store.home import PRIVATE_FILE, private_dir, sync_dir
from controller.store.secretbox import SealKey
from inventory.errors import StoreError

MAGIC = b"cto-sealed-file-v1 "
PIECE, _TAG, _LONGEST_HEADER = 1 << 16, 16, 1024
_CACHED = 32  # pieces, 2 MiB


def is_sealed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


class SealedWriter:
    """Writes beside `path`; `finish` puts it into its place, `close` without it leaves nothing."""

    def __init__(self, path: Path, key: SealKey, *, name: str) -> None:
        self._path, self._partial = path, path.with_name(f".{path.name}.part")
        private_dir(path.parent)
        salt = secrets.token_hex(16)
        self._header = MAGIC + json.dumps({"key": key.id, "name": name, "salt": salt}).encode() + b"\n"
        self._secret, self._number, self._rest = _file_key(key, salt), 0, bytearray()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._descriptor = os.open(self._partial, flags, PRIVATE_FILE)
        self._put(self._header)

    def write(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) > PIECE:  # never the last one, which is sealed as such
            self._seal(bytes(self._rest[:PIECE]), last=False)
            del self._rest[:PIECE]

    def finish(self) -> None:
        self._seal(bytes(self._rest), last=True)
        os.fsync(self._descriptor)
        self._partial.replace(self._path)
        sync_dir(self._path.parent)

    def close(self) -> None:
        os.close(self._descriptor)
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _seal(self, piece: bytes, *, last: bool) -> None:
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

        self._put(encrypt(piece, self._header, _nonce(self._number, last=last), self._secret))
        self._number += 1

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]


class SealedReader:
    """`size` is that of what was sealed. Not for two threads at a time."""

    def __init__(self, path: Path, key: SealKey) -> None:
        self._path, self._file = path, path.open("rb")
        try:
            self._prepare(key)
        except BaseException:
            self._file.close()
            raise

    def _prepare(self, key: SealKey) -> None:
        self._header = self._file.readline(_LONGEST_HEADER)
        about = self._about()
        self.name = about["name"]
        if about["key"] != key.id:
            raise StoreError(
                f"it was sealed with another key ({about['key']})",
                where=str(self._path),
                fix="put back the key that `cto key export` printed for that store",
            )
        self._secret = _file_key(key, about["salt"])
        sealed = self._path.stat().st_size - len(self._header)
        self._pieces = -(-sealed // (PIECE + _TAG))
        self.size = sealed - self._pieces * _TAG
        if not self._pieces or 0 < sealed % (PIECE + _TAG) < _TAG:
            raise self._broken()
        self._piece = lru_cache(_CACHED)(self._open)
        self._piece(self._pieces - 1)  # a file that was cut off has no last piece

    def read(self, offset: int, size: int) -> bytes:
        """As many bytes as there are, at most `size`."""
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        first, last = offset // PIECE, (end - 1) // PIECE
        joined = b"".join(self._piece(number) for number in range(first, last + 1))
        return joined[offset - first * PIECE : end - first * PIECE]

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _about(self) -> dict[str, str]:
        text = self._header[len(MAGIC) :] if self._header.startswith(MAGIC) else b""
        try:
            about = json.loads(text)
            return {name: str(about[name]) for name in ("key", "name", "salt")}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(
                "this is no sealed file", where=str(self._path), fix="name one that cto made"
            ) from error

    def _open(self, number: int) -> bytes:
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
        from nacl.exceptions import CryptoError

        self._file.seek(len(self._header) + number * (PIECE + _TAG))
        sealed = self._file.read(PIECE + _TAG)
        nonce = _nonce(number, last=number == self._pieces - 1)
        try:
            return bytes(decrypt(sealed, self._header, nonce, self._secret))
        except (CryptoError, ValueError) as error:
            raise self._broken() from error

    def _broken(self) -> StoreError:
        return StoreError(
            "a sealed file does not open: it was changed, cut off, or sealed with another key",
            where=str(self._path),
            fix="use another one; check the disk that it is on",
        )


def _file_key(key: SealKey, salt: str) -> bytes:
    return hashlib.blake2b(salt.encode(), key=key.raw, person=b"cto-sealed-file", digest_size=32).digest()


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(8, "little") + bytes([last]) + bytes(15)
