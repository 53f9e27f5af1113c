"""How gateways and clouds write a model: what else a name may be looked up as, the name itself first.

A name is only taken apart, never guessed at. The part before a slash is dropped where it names the provider that bills
anyway, or a vendor whose model the provider sells; what is left is looked up at the provider that bills.

Source: LiteLLM, provider prefixes of `model`; Amazon Bedrock, ARNs of foundation models and inference profiles; Vertex
AI, resource names of publisher models and `@version`; read 2026-11-24.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from tollbook.rating.units import Names

# An application inference profile or a provisioned model has a made-up id: it is no name of a model.
_BEDROCK_ARN: Final = re.compile(r"arn:aws[a-z-]*:bedrock:[^:]*:[^:]*:(?:foundation-model|inference-profile)/(.+)")
_VERTEX_PATH: Final = re.compile(r"(?:.*/)?publishers/[^/]+/models/([^/:]+)(?::[A-Za-z]+)?")
_GEMINI_PATH: Final = re.compile(r"models/([^/:]+)(?::[A-Za-z]+)?")
_BEDROCK_ROUTE: Final = re.compile(r"(?:converse|converse_like|invoke)/(.+)")
_BEDROCK_REGION: Final = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d/(.+)")
_VERSION: Final = re.compile(r"(.+)@([^@/]+)")
_NO_VERSION: Final = frozenset({"default", "latest"})
_MOST_SPELLINGS: Final = 8


def spellings(names: Names, provider: str, model: str, knows: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield who bills and what a model may be called there, the likeliest first; nothing where nobody bills.

    Args:
        names: Aliases of providers, and gateways.
        provider: Provider in the event.
        model: Model in the event.
        knows: Whether a name is a provider's.
    """
    *_, (provider, model) = hops(names, provider, model)
    seen: list[str] = []
    pending = [model] if provider else []
    while pending and len(seen) < _MOST_SPELLINGS:
        spelling = pending.pop(0)
        if spelling and spelling not in seen:
            seen.append(spelling)
            yield provider, spelling
            pending += _shorter(names, provider, spelling, knows)


def hops(names: Names, provider: str, model: str) -> Iterator[tuple[str, str]]:
    """Yield who a call was sent to and the model there: each gateway that passed it on, last who bills.

    Who bills is an empty text where a gateway's model does not tell.
    """
    provider, model = provider.strip(), model.strip()
    while provider.lower() in names.gateways:
        yield provider, model
        head, slash, rest = model.removeprefix("@").partition("/")
        provider, model = (head, rest) if slash else ("", head)
    yield provider, model


def _shorter(names: Names, provider: str, model: str, knows: Callable[[str], bool]) -> Iterator[str]:
    for pattern in (_BEDROCK_ARN, _VERTEX_PATH, _GEMINI_PATH, _BEDROCK_ROUTE, _BEDROCK_REGION):
        found = pattern.fullmatch(model)
        if found:
            yield found[1]
    prefix, slash, rest = model.partition("/")
    if slash and (names.provider(prefix) == names.provider(provider) or knows(prefix)):
        yield rest
    version = _VERSION.fullmatch(model)
    if version:
        yield version[1] if version[2].lower() in _NO_VERSION else f"{version[1]}-{version[2]}"
