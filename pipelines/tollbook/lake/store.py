"""An object store as a lake's home: the few things that a lake asks of it, each whole or not done at all.

An object of the lake never changes, and what makes it count, an entry of a numbered log, is put on the condition that
there is none of its name. Credentials and endpoints are obstore's own, from its environment variables; they are kept
nowhere. What fails for a moment is tried again for seconds; then the store counts as away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from tollbook.errors import MisuseError, StoreUnavailableError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

SCHEMES: Final = ("s3", "gs", "az")
"""Schemes of the URLs of lakes."""

# Plain HTTP is for an endpoint that says so itself, such as one on loopback: the stores' own are all HTTPS.
_CLIENT: Final[ClientConfig] = {"connect_timeout": "5s", "timeout": "120s", "allow_http": True}
_RETRY: Final[RetryConfig] = {
    "max_retries": 6,
    "retry_timeout": timedelta(seconds=15),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=3), "base": 2},
}
_LISTED_AT_ONCE: Final = 1_000


def checked_url(url: str) -> str:
    """Return the URL of a lake without a slash at its end.

    Raises:
        MisuseError: It is no such URL, or it carries a credential, which would be written to the home's folder.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise MisuseError(
            f"expected the lake's URL as {parts.scheme}://bucket/prefix alone, got a user, a query or a fragment in "
            "it: credentials come from the environment"
        )
    if parts.scheme not in SCHEMES or not parts.netloc or (parts.scheme == "az" and not parts.path.strip("/")):
        raise MisuseError(
            f"expected the lake's URL as s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix, "
            f"got {url!r}"
        )
    return url.rstrip("/")


class LakeStore:
    """The objects below one URL; keys are paths below it, with `/`."""

    def __init__(self, url: str) -> None:
        """Speak to the store of `url`, which `checked_url` gave; nothing is asked of it yet.

        Raises:
            MisuseError: The environment does not say enough about the store.
        """
        self.url = url
        try:
            self._store: ObjectStore = from_url(url, client_options=_CLIENT, retry_config=_RETRY)
        except (BaseError, ValueError) as unusable:
            raise MisuseError(f"expected to find an object store by {url}, got: {_sentence(unusable)}") from None

    def create(self, key: str, content: bytes) -> bool:
        """Make an object unless there is one of its name; return whether it holds `content` now.

        When the store's answer is lost the object may be made: so what is there is looked at.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        try:
            obstore.put(self._store, key, content, mode="create")
        except AlreadyExistsError:
            return self.read(key) == content
        except (BaseError, OSError) as failed:
            if self.read(key) != content:
                raise self._failure(f"make {key}", failed) from None
        return True

    def upload(self, key: str, file: Path) -> None:
        """Make an object of a file's bytes; one of its name is replaced.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"take {key}"):
            obstore.put(self._store, key, file)

    def write(self, key: str, content: bytes) -> None:
        """Make an object; one of its name is replaced.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"take {key}"):
            obstore.put(self._store, key, content)

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes, None where there is none.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"give {key}"):
            try:
                return bytes(obstore.get(self._store, key).bytes())
            except FileNotFoundError:
                return None

    def pieces(self, key: str) -> Iterator[bytes]:
        """Yield an object's bytes piece by piece.

        Raises:
            FileNotFoundError: There is none.
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"give {key}", absent_is_told=True):
            for piece in obstore.get(self._store, key).stream():
                yield bytes(piece)

    def sizes(self, prefix: str, *, after: str | None = None) -> dict[str, int]:
        """Return the objects below a folder, in order of their keys, with their sizes. Unit: Bytes.

        Args:
            prefix: The folder's key.
            after: Only keys that come after this one.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"list {prefix}"):
            pages = obstore.list(self._store, prefix, offset=after, chunk_size=_LISTED_AT_ONCE)
            found = {each["path"]: each["size"] for page in pages for each in page}
        return dict(sorted(found.items()))

    def folders(self, prefix: str) -> list[str]:
        """Return the keys of the folders right below a folder, in order.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"list {prefix}"):
            return sorted(obstore.list_with_delimiter(self._store, prefix)["common_prefixes"])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are no error.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"delete {len(keys)} objects"):
            for start in range(0, len(keys), _LISTED_AT_ONCE):
                try:
                    obstore.delete(self._store, list(keys[start : start + _LISTED_AT_ONCE]))
                except FileNotFoundError:
                    # A store without bulk deletes tells of the first that is absent, and leaves those after it.
                    for key in keys[start : start + _LISTED_AT_ONCE]:
                        self._delete_one(key)

    def copy(self, key: str, to: str) -> None:
        """Copy an object within the store; one of the new name is replaced.

        Raises:
            StoreUnavailableError: The store is away or refuses.
        """
        with self._doing(f"copy {key} to {to}"):
            obstore.copy(self._store, key, to)

    def _delete_one(self, key: str) -> None:
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return

    @contextmanager
    def _doing(self, what: str, *, absent_is_told: bool = False) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as absent:
            if absent_is_told:
                raise
            raise self._failure(what, absent) from None
        except (BaseError, OSError) as failed:
            raise self._failure(what, failed) from None

    def _failure(self, what: str, failed: Exception) -> StoreUnavailableError:
        return StoreUnavailableError(f"expected {self.url} to {what}, got: {_sentence(failed)}")


def _sentence(failed: Exception) -> str:
    """Return what an error says, without the requests and structures that obstore adds."""
    text = str(failed).split("\n\nDebug source")[0]
    return " ".join(text.split())[:600]
