"""Binding: a home's lake and the object store that holds it find each other, once and for all.

A folder is bound by its first command and remembers the store. A store is the home of one lake, which has a name of its
own, so that a bucket that was emptied or exchanged is not taken for it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tollbook.errors import CorruptManifestError, MisuseError
from tollbook.lake.remote import SHARED_FILES, pull
from tollbook.lake.working_copy import IDENTITY, REMOTE, Identity, identity_in, remote_of

if TYPE_CHECKING:
    from tollbook.lake.store import LakeStore


def connect(lake: Path, url: str | None) -> bool:
    """Bind a lake's folder to the store that a setting names, and pull; return whether the lake is in a store.

    Args:
        lake: Folder of the lake.
        url: The store's URL; None for the one that the folder is bound to, if any.

    Raises:
        MisuseError: The folder is bound to another store, or is a lake of its own; or the store cannot be one of a
            lake, since it does not refuse to make an object twice.
        CorruptManifestError: The store was emptied or restored since.
        StoreUnavailableError: The store is away or refuses.
    """
    bound = remote_of(lake)
    if url is not None:
        from tollbook.lake.store import checked_url

        url = checked_url(url)
        if bound is not None and bound.store.url != url:
            raise MisuseError(
                f"expected the lake's URL to be {bound.store.url}, of which {lake} is the working copy, got {url}: "
                "use another home for another lake"
            )
        if bound is None:
            if any(key not in SHARED_FILES for key in _lake_keys(lake)):
                raise MisuseError(
                    f"expected a working copy of {url} at {lake}, found a lake of its own: `tollbook lake push` puts "
                    "it into the store; or use another home"
                )
            bind(lake, url)
            bound = remote_of(lake)
    if bound is not None:
        pull(lake)
    return bound is not None


def bind(lake: Path, url: str) -> None:
    """Make a folder the working copy of a store, which becomes the home of a lake unless it is that of one.

    Raises:
        MisuseError: The store does not refuse to make an object twice.
        StoreUnavailableError: The store is away or refuses.
    """
    from tollbook.lake.store import LakeStore

    store = LakeStore(url)
    _refuse_unconditional(store)
    store.create(IDENTITY, msgspec.json.encode({"lake_id": secrets.token_hex(8)}))
    found = identity_in(store)
    if found is None:
        raise CorruptManifestError(f"expected to find {IDENTITY} at {url}, which was just made, found nothing")
    lake.mkdir(parents=True, exist_ok=True)
    temporary = lake / f"{REMOTE}.tmp"
    temporary.write_bytes(msgspec.json.encode(Identity(lake_id=found.lake_id, url=url)))
    temporary.replace(lake / REMOTE)


def _refuse_unconditional(store: LakeStore) -> None:
    """Refuse a store that makes an object that is there already: two writers would both believe that they committed."""
    probe = f"probe-{secrets.token_hex(8)}"
    store.create(probe, b"first")
    try:
        if store.create(probe, b"second"):
            raise MisuseError(
                f"expected {store.url} to refuse a second object of one name (If-None-Match: *), but it made it: "
                "such a store cannot keep two writers apart"
            )
    finally:
        store.delete([probe])


def _lake_keys(lake: Path) -> Iterator[str]:
    """Yield the paths of what a lake's folder holds, locks and other hidden files left out."""
    for path in lake.rglob("*"):
        relative = path.relative_to(lake)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            yield relative.as_posix()
