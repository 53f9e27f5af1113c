"""What an endpoint tells of a call: who bills it, how it was bought, and in which region it ran, where that is clear.

A private address is not clear by itself: it may be a model of one's own or a gateway that buys outside.

Source: endpoint pages of the providers, read 2026-11-25.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from tollbook.rating.units import load_names

MODEL_API, HYPERSCALER, ON_PREM = "model_api", "hyperscaler", "on_prem"
_KEPT: Final = 4_096
_HOST: Final = re.compile(r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^@/]*@)?(?P<host>\[[0-9a-f:.]+\]|[^:/?#]+)")
_PRIVATE: Final = (".local", ".internal", ".localdomain", ".lan", ".home.arpa", ".svc")
_BEDROCK: Final = (
    r"(?:[a-z0-9-]+\.)?bedrock(?:-[a-z-]+)?\.(?P<region>[a-z]{2}(?:-[a-z]+)+-[0-9])"
    r"\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)"
)
_ENDPOINTS: Final = tuple(
    (re.compile(pattern), provider, path)
    for pattern, provider, path in (
        (r"(?:(?P<region>[a-z]{2})\.)?api\.openai\.com", "openai", MODEL_API),
        (r"api\.anthropic\.com", "anthropic", MODEL_API),
        (r"generativelanguage\.googleapis\.com", "google", MODEL_API),
        (r"api\.mistral\.ai", "mistral", MODEL_API),
        (r"api\.groq\.com", "groq", MODEL_API),
        (r"api\.deepseek\.com", "deepseek", MODEL_API),
        (r"(?:(?P<region>[a-z]{2}-[a-z]+-[0-9])\.)?api\.x\.ai", "x-ai", MODEL_API),
        (r"api\.cohere\.(?:com|ai)", "cohere", MODEL_API),
        (r"api\.perplexity\.ai", "perplexity", MODEL_API),
        (r"api\.together\.(?:xyz|ai)", "together", MODEL_API),
        (r"api\.fireworks\.ai", "fireworks", MODEL_API),
        (r"openrouter\.ai", "openrouter", MODEL_API),
        (r"integrate\.api\.nvidia\.com", "nvidia", MODEL_API),
        (_BEDROCK, "aws", HYPERSCALER),
        (r"(?:(?P<region>[a-z]+-[a-z]+[0-9]+)-)?aiplatform\.googleapis\.com", "google", HYPERSCALER),
        (r"[a-z0-9-]+\.(?P<region>[a-z0-9]+)\.models\.ai\.azure\.com", "azure", HYPERSCALER),
        (r"(?P<region>[a-z0-9]+)\.api\.cognitive\.microsoft\.com", "azure", HYPERSCALER),
        (r"[a-z0-9-]+\.(?:openai|services\.ai|cognitiveservices)\.azure\.com", "azure", HYPERSCALER),
    )
)


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of an endpoint.

    Attributes:
        provider: Who bills calls to it, by the price list's name, or None.
        path: How they are bought, as in `usage_event`, or None.
        region: Where inference runs, as the provider names its region, or None.
        private: Whether it is an address of the organisation's own network.
    """

    provider: str | None = None
    path: str | None = None
    region: str | None = None
    private: bool = False


NOWHERE: Final = Place()


@lru_cache(maxsize=_KEPT)
def place_of(address: str | None) -> Place:
    """Return what an address tells, which may be a URL, a host name or an IP address."""
    found = None if address is None else _HOST.match(address.strip().lower())
    if found is None:
        return NOWHERE
    host = found["host"].strip("[]").rstrip(".")
    for pattern, provider, path in _ENDPOINTS:
        match = pattern.fullmatch(host)
        if match is not None:
            return Place(provider, path, match.groupdict().get("region"))
    return Place(private=_is_private(host))


@lru_cache(maxsize=_KEPT)
def who_bills(told: str | None, address: str | None) -> str | None:
    """Return the provider by the price list's name.

    Libraries of OpenAI's API say `openai` whatever they talk to, so there a known endpoint of another is the word.

    Args:
        told: The provider as the tool names it.
        address: The endpoint that was called.
    """
    place = place_of(address)
    name = load_names().provider(told) if told else None
    return place.provider if place.provider is not None and name in (None, "openai") else name


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_PRIVATE)
