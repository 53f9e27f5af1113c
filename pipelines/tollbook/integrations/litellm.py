"""LiteLLM tells Tollbook of its calls: a callback for its proxy and for programs that use its SDK.

In a proxy's configuration it is one line:

    litellm_settings:
      callbacks: ["tollbook.integrations.litellm.proxy_handler"]

In a program:

    litellm.callbacks = [tollbook.integrations.litellm.proxy_handler]

What is sent is `formats.litellm_shape`: no prompt, answer, header or error text leaves the process. Settings come from
the environment, see `integrations.settings`; nothing is read, opened or started before the first call.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from tollbook.formats.litellm_shape import MADE_UP_ID, encode, shape_of
from tollbook.integrations.delivery import Delivery
from tollbook.integrations.settings import DeliverySettings

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError:  # without LiteLLM nothing calls the handler, and it can still be looked at and tested

    class CustomLogger:  # type: ignore[no-redef]
        """Stands for LiteLLM's class where LiteLLM is not installed."""


TOPIC: Final = "llm.usage.litellm"
FORMAT: Final = "litellm"
_MAX_BODY: Final = 256 * 1024
_TELL_EVERY_SECONDS: Final = 60.0
_log: Final = logging.getLogger("tollbook.integrations")


class _Body(msgspec.Struct, gc=False):
    """Of a provider's body, its id."""

    id: str | None = None
    responseId: str | None = None  # noqa: N815


_read_body: Final = msgspec.json.Decoder(_Body).decode


class TollbookLogger(CustomLogger):
    """Puts each call that LiteLLM logs on its way to Tollbook. It never raises into a call.

    Attributes:
        failed: Calls that could not be told, because LiteLLM gave no payload or something of ours went wrong.
    """

    def __init__(self, settings: DeliverySettings | None = None) -> None:
        super().__init__()
        self.failed = 0
        self._settings = settings
        self._delivery: Delivery | None = None
        self._starting = threading.Lock()
        self._told_at: float | None = None

    def log_success_event(self, kwargs: Any, *_told: Any, **_named: Any) -> None:
        """Take a call that succeeded."""
        self._take(kwargs)

    def log_failure_event(self, kwargs: Any, *_told: Any, **_named: Any) -> None:
        """Take a call that failed."""
        self._take(kwargs)

    async def async_log_success_event(self, kwargs: Any, *_told: Any, **_named: Any) -> None:
        """Take an asynchronous call that succeeded."""
        self._take(kwargs)

    async def async_log_failure_event(self, kwargs: Any, *_told: Any, **_named: Any) -> None:
        """Take an asynchronous call that failed."""
        self._take(kwargs)

    @property
    def delivery(self) -> Delivery:
        """What carries the records of this process; started when first asked for, anew in a forked child."""
        delivery = self._delivery
        if delivery is None or not delivery.is_ours:
            with self._starting:
                delivery = self._delivery
                if delivery is None or not delivery.is_ours:
                    settings = self._settings or DeliverySettings.load(TOPIC)
                    delivery = self._delivery = Delivery(settings, format_name=FORMAT)
        return delivery

    def _take(self, kwargs: Any) -> None:
        try:
            payload = kwargs.get("standard_logging_object")
            if payload is None:
                self._tell("LiteLLM gave no standard_logging_object")
                return
            self.delivery.put(encode(told_of(payload, kwargs)))
        except Exception as error:  # noqa: BLE001 - a ledger must not fail the call that it counts
            self._tell(f"{type(error).__name__}: {error}")

    def _tell(self, what: str) -> None:
        self.failed += 1
        now = time.monotonic()
        if self._told_at is None or now - self._told_at > _TELL_EVERY_SECONDS:
            self._told_at = now
            _log.error("tollbook: %d calls could not be told, the last because: %s", self.failed, what)


def told_of(payload: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is sent of a call: its payload without content, and two things that the payload leaves out.

    Those are the number of the attempt, and the provider's own id where LiteLLM put one of its making in its place.
    """
    told = shape_of(payload)
    attempt = _attempt(kwargs.get("litellm_params"))
    if attempt is not None:
        told["tollbook_attempt"] = attempt
    response = told.get("response")
    issued = response.get("id") if response is not None else None
    if response is not None and issued and MADE_UP_ID.fullmatch(issued):
        response["id"] = _provider_id(kwargs.get("original_response")) or issued
    return told


def _attempt(parameters: Any) -> int | None:
    """Return the number of the attempt, from 1: LiteLLM's router notes when it asked which provider."""
    for name in ("metadata", "litellm_metadata"):
        metadata = parameters.get(name) if isinstance(parameters, Mapping) else None
        if not isinstance(metadata, Mapping):
            continue
        windows = metadata.get("llm_api_timing_windows")
        if isinstance(windows, (list, tuple)) and windows and "attempted_retries" in metadata:
            return len(windows)
        retries = metadata.get("attempted_retries")
        if isinstance(retries, int) and retries >= 0 and not metadata.get("attempted_fallbacks"):
            return retries + 1
    return None


def _provider_id(body: Any) -> str | None:
    """Return the id in a provider's body. The body itself goes nowhere."""
    if not isinstance(body, str) or not body.startswith("{") or len(body) > _MAX_BODY:
        return None
    try:
        read = _read_body(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return read.id or read.responseId


proxy_handler: Final = TollbookLogger()
