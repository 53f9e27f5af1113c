"""Match rules as plain data find what the library finds."""

from __future__ import annotations

import json
import random

from genai_prices.data import providers
from genai_prices.data_snapshot import DataSnapshot

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.rules import RuleLookup
from tollbook.rating.sources import genai
from tollbook.rating.units import load_names

SNAPSHOT = DataSnapshot(providers, from_auto_update=False)


def names() -> list[tuple[str, str]]:
    """Return every model at its provider and at another, and the same in other spellings."""
    chosen = random.Random(4)
    models = [(provider.id, model.id) for provider in providers for model in provider.models]
    shuffled = [(chosen.choice(providers).id, model) for _, model in models]
    dated = [(provider, f"{model}-20251211") for provider, model in models[::7]]
    upper = [(provider, model.upper()) for provider, model in models[::5]]
    return [*models, *shuffled, *dated, *upper, ("openai", "gpt-4o-20240806"), ("openai", "o1-20269999")]


def test_every_name_leads_to_the_model_that_the_library_finds(genai_catalogue: Catalogue) -> None:
    """A recorded catalogue must find its models in ten years, without the library of its day."""
    lookup = RuleLookup(load_names(), genai.read_lookup(load_names(), providers).rules)
    own = {id(model): provider.id for provider in providers for model in provider.models}
    found_by_both = 0
    for provider, model in names():
        try:
            _, theirs = SNAPSHOT.find_provider_model(model, None, provider, None)
        except LookupError:
            assert lookup.find(provider, model) is None, (provider, model)
            continue
        ours = lookup.find(provider, model)
        assert ours is not None, (provider, model)
        assert (ours.provider, ours.model) == (own[id(theirs)], theirs.id), (provider, model)
        found_by_both += 1
    assert found_by_both > 2_500


def test_rules_survive_being_written_down(genai_catalogue: Catalogue) -> None:
    """What is recorded is JSON; what is read back is the same."""
    lookup = genai_catalogue.lookup
    again = RuleLookup.of_description(json.loads(json.dumps(lookup.described())), load_names())
    assert again == lookup
