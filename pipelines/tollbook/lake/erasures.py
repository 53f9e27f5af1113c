"""The log of erasures: which files were deleted because a person was erased from them, when, and why.

Entry `erasures/commits/<N>.json` never holds who it was. It holds a keyed digest of the identifier, by which one who
knows the identifier and has the lake can tell that it was erased; the key is made once for each lake.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from tollbook.errors import CorruptManifestError
from tollbook.lake.log import append, entries_after, entry_path, newest_number, sync_folder, write_synced
from tollbook.lake.remote import agreed

PSEUDONYM_DIGITS = 16
_KEY = "key"
_KEY_BYTES = 32
_SALT_OF_PSEUDONYMS = b"pseudonyms of the warehouse"


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure.

    Attributes:
        sequence: Its number in the log.
        lake_commit: Commit of the lake from which on the person is in no file in force.
        erased_at: When, UTC.
        reason: Why, as who ordered it wrote.
        digest: Keyed digest of the identifier.
        pseudonym: What the warehouse names the person by; None of erasures from before it named any.
        usage_rows: Rows of usage that were made anonymous.
        reject_rows: Rejects whose bytes were erased.
        deleted: Paths of the files that held the person, below the lake's folder.
    """

    sequence: int
    lake_commit: int
    erased_at: datetime
    reason: str
    digest: str
    usage_rows: int
    reject_rows: int
    deleted: list[str]
    pseudonym: str | None = None


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """How tables of the warehouse name persons: by the beginning of a digest of a salt and the identifier.

    Attributes:
        salt: What stands before an identifier when it is hashed; who has not the lake's key cannot make it.
        erased: Pseudonyms of the persons that were erased.
    """

    salt: str
    erased: frozenset[str] = frozenset()

    def of(self, principal: str) -> str:
        """Return the pseudonym of a person: 16 hexadecimal digits, as the models of the warehouse make it."""
        return hashlib.sha256((self.salt + principal).encode()).hexdigest()[:PSEUDONYM_DIGITS]


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Erasure)


def erasures(lake: Path) -> Iterator[Erasure]:
    """Yield the erasures of a lake in order.

    Raises:
        CorruptManifestError: One is absent or cannot be read.
    """
    for number, encoded in entries_after(_log(lake), 0):
        try:
            yield _DECODER.decode(encoded)
        except msgspec.MsgspecError as broken:
            path = entry_path(_log(lake), number)
            raise CorruptManifestError(f"expected an erasure at {path}, got: {broken}") from broken


def record_erasure(
    lake: Path,
    *,
    principal: str,
    lake_commit: int,
    erased_at: datetime,
    reason: str,
    usage_rows: int,
    reject_rows: int,
    deleted: list[str],
) -> Erasure:
    """Append an erasure to the log and return it; the caller holds the lock of upkeep.

    Raises:
        LakeWriteError: The disk is full or read-only.
    """
    erasure = Erasure(
        sequence=newest_number(_log(lake)) + 1,
        lake_commit=lake_commit,
        erased_at=erased_at,
        reason=reason,
        digest=digest_of(lake, principal),
        pseudonym=pseudonyms(lake).of(principal),
        usage_rows=usage_rows,
        reject_rows=reject_rows,
        deleted=deleted,
    )
    append(_log(lake), erasure.sequence, _ENCODER.encode(erasure))
    return erasure


def digest_of(lake: Path, principal: str) -> str:
    """Return the digest of an identifier under the lake's key, which is made when there is none."""
    return hmac.new(_key(lake), principal.encode(), hashlib.sha256).hexdigest()


def pseudonyms(lake: Path) -> Pseudonyms:
    """Return how the warehouse of a lake names persons, by the lake's key, which is made when there is none.

    Raises:
        CorruptManifestError: An entry of the log of erasures is absent or cannot be read.
    """
    salt = hmac.new(_key(lake), _SALT_OF_PSEUDONYMS, hashlib.sha256).hexdigest()
    erased = (erasure.pseudonym for erasure in erasures(lake))
    return Pseudonyms(salt, frozenset(each for each in erased if each is not None))


def _key(lake: Path) -> bytes:
    path = _log(lake).parent / _KEY
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{_KEY}.tmp")
        write_synced(temporary, agreed(lake, f"{path.parent.name}/{_KEY}", secrets.token_bytes(_KEY_BYTES)))
        temporary.chmod(0o600)
        temporary.replace(path)
        sync_folder(path.parent)
    return path.read_bytes()


def _log(lake: Path) -> Path:
    return lake / "erasures" / "commits"
