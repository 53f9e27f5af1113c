"""The table of usage fields, loaded from `schemas/usage_fields.yml` and compiled for both ways of reading."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

from tollbook.errors import ReferenceDataError
from tollbook.rating.units import Unit, load_document, load_names, load_units

DOCUMENT: Final = "usage_fields"
ANY_PROVIDER: Final = "*"
_KEYED: Final = re.compile(r"(?P<list>[^\[]+)\[(?P<key>[^=\]]+)=[^\]]*\]")


@dataclass(frozen=True, slots=True)
class Count:
    """A field that counts a unit.

    Its remainder is what it counts less the remainders of all fields inside it. Remainders are disjoint, and they add
    up to the fields that stand in no other.

    Attributes:
        name: Path in the usage object.
        names: `name`, then other names of the same count.
        unit: What its remainder is billed as.
        within: Places of the fields that include it, in `Flavour.counts`.
        inside: Places of all fields that it includes, at any depth.
        shared_with: Place of a field that may hold some of the same tokens, or None.
        crossings: Places of the fields that would tell how many tokens those two share.
        required: Whether it must be told.
        rounds_up: Whether a fraction becomes the next whole unit; else a fraction is wrong.
    """

    name: str
    names: tuple[str, ...]
    unit: Unit
    within: tuple[int, ...]
    inside: tuple[int, ...]
    shared_with: int | None
    crossings: tuple[int, ...]
    required: bool
    rounds_up: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """A field with the provider's own figure of what the call cost: `name`, in `currency` times ten to `-decimals`."""

    name: str
    currency: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Telling:
    """A text that becomes a field of the event: `values` translates it, to None for a word that tells nothing."""

    name: str
    field: str
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class FurtherCalls:
    """A list in the usage object whose entries are calls of their own, of kinds told by `key`.

    Attributes:
        list: Field that holds it.
        key: Field of an entry that tells its kind.
        inside: Kinds that the usage object's own counts hold already.
        beside: Kinds that they leave out.
        model: Field of an entry that names its model; without it the model is the body's.
    """

    list: str
    key: str
    inside: frozenset[str]
    beside: frozenset[str]
    model: str


@dataclass(frozen=True)
class Flavour:
    """One shape of usage object.

    Attributes:
        name: Name in the table, such as `openai.chat`.
        root: Where the usage object stands in a body.
        counts: Fields that count, as the table orders them.
        order: Places in `counts`, each after all that are inside it.
        total: Field that tells the sum of all tokens, or None.
        costs: Fields with the provider's own cost.
        tells: Texts in the usage object, later ones overruling earlier ones.
        body: Texts in the body.
        known: Counts that are not counted.
        aside: Numbers that are no counts.
        aside_below: Prefixes of paths to such numbers.
        keyed: List in the usage object to the field of its entries that names them.
        open: Whether numbers that the table does not name are ordinary.
        told_by: Paths in a body by which it is recognised.
        further: Calls of their own within the usage object, or None.
    """

    name: str
    root: tuple[str, ...]
    counts: tuple[Count, ...]
    order: tuple[int, ...]
    total: str | None
    costs: tuple[Cost, ...]
    tells: tuple[Telling, ...]
    body: tuple[Telling, ...]
    known: frozenset[str]
    aside: frozenset[str]
    aside_below: tuple[str, ...]
    keyed: Mapping[str, str]
    open: bool
    told_by: tuple[tuple[str, ...], ...]
    further: FurtherCalls | None

    @cached_property
    def counted(self) -> frozenset[str]:
        """Every name of a field that counts or is known not to: what `raw_usage` keeps."""
        return self.known.union(*(count.names for count in self.counts))

    @cached_property
    def costs_named(self) -> frozenset[str]:
        """Names of the fields with the provider's own cost."""
        return frozenset(cost.name for cost in self.costs)

    def is_unknown(self, name: str) -> bool:
        """Return whether the table has no meaning for a number, so that it must be shown.

        A name in quotes is a spelling whose path another one has: it is shown by whatever flavour.
        """
        return '"' in name or not (
            self.open
            or name in self.counted
            or name in self.costs_named
            or name in self.aside
            or name.startswith(self.aside_below)
            or name in self._texts
        )

    @property
    def further_list(self) -> str | None:
        """Field with the calls of their own, which is read apart, or None."""
        return None if self.further is None else self.further.list

    @cached_property
    def _texts(self) -> frozenset[str]:
        return frozenset(telling.name for telling in self.tells)


@dataclass(frozen=True)
class UsageTable:
    """All flavours, and which provider answers in which.

    Attributes:
        flavours: By name.
        providers: Provider of the price list to API to flavour, in the order to try.
    """

    flavours: Mapping[str, Flavour]
    providers: Mapping[str, Mapping[str, Flavour]]

    def flavour(self, provider: str | None, api: str) -> Flavour | None:
        """Return the flavour of a provider's API, or None when the table has none.

        Args:
            provider: Any name of the provider that `price_lookup.yml` knows; an unlisted one has the APIs of `*`.
            api: Name of the API in the table, such as `chat`.
        """
        return self._apis(provider).get(api)

    def recognise(self, body: Mapping[str, Any], provider: str | None = None) -> Flavour | None:
        """Return the first flavour of the provider that a response body shows, or None: nothing is guessed.

        Args:
            body: A response body, parsed.
            provider: As for `flavour`. It decides what a shape leaves open, such as where reasoning is counted.
        """
        for flavour in self._apis(provider).values():
            if all(_present(body, path) for path in flavour.told_by):
                return flavour
        return None

    def _apis(self, provider: str | None) -> Mapping[str, Flavour]:
        name = ANY_PROVIDER if provider is None else load_names().provider(provider)
        return self.providers.get(name, self.providers[ANY_PROVIDER])


@lru_cache(maxsize=1)
def load_table() -> UsageTable:
    """Return the shipped table.

    Raises:
        ReferenceDataError: The file breaks its schema or contradicts itself.
    """
    return read_table()


def read_table(path: Path | None = None) -> UsageTable:
    """Return the table in `path`, by default the shipped one; errors as for `load_table`."""
    document = load_document(DOCUMENT, path=path)
    bodies = document["flavours"]
    flavours = {name: _compile(name, _extended(name, bodies)) for name in bodies}
    providers: dict[str, dict[str, Flavour]] = {}
    for provider, apis in document["providers"].items():
        absent = sorted(set(apis.values()) - set(flavours))
        if absent:
            raise _contradiction(f"providers/{provider}", f"flavours of this file, got {absent[0]!r}")
        providers[provider] = {api: flavours[name] for api, name in apis.items()}
    return UsageTable(flavours, providers)


def _extended(name: str, bodies: Mapping[str, Any], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a flavour with what it takes over from the one it extends."""
    if name not in bodies or name in seen:
        raise _contradiction(f"flavours/{seen[-1]}/extends", f"another flavour of this file, got {name!r}")
    body = bodies[name]
    if "extends" not in body:
        return dict(body)
    base = _extended(body["extends"], bodies, (*seen, name))
    fields = {**base["fields"], **body["fields"]}
    return {**base, **body, "fields": fields}


def _compile(name: str, body: Mapping[str, Any]) -> Flavour:
    fields = {path: field for path, field in body["fields"].items() if field is not None}
    for missing in ("root", "told_by"):
        if missing not in body:
            raise _contradiction(f"flavours/{name}", f"a `{missing}`, its own or of the flavour it extends, got none")
    counts, order = _counts(name, {path: field for path, field in fields.items() if "counts" in field})
    known = {alias for path, field in fields.items() if "known" in field for alias in (path, *field.get("also", ()))}
    total = body.get("total")
    aside = [path for path, field in fields.items() if "aside" in field]
    further = body.get("further")
    every_name = [*known, *(alias for count in counts for alias in count.names)]
    _names_once(name, [*every_name, *aside])
    return Flavour(
        name=name,
        root=tuple(body["root"]),
        counts=counts,
        order=order,
        total=total,
        costs=tuple(
            Cost(path, field["costs"], field.get("decimals", 0)) for path, field in fields.items() if "costs" in field
        ),
        tells=_tellings({path: field for path, field in fields.items() if "tells" in field}),
        body=_tellings(body.get("body", {})),
        known=frozenset(known if total is None or total in every_name else {*known, total}),
        aside=frozenset(path for path in aside if not path.endswith(".*")),
        aside_below=tuple(path[:-1] for path in aside if path.endswith(".*")),
        keyed={found["list"]: found["key"] for path in every_name if (found := _KEYED.match(path))},
        open=body.get("open", False),
        told_by=tuple(tuple(path.split(".")) for path in body["told_by"]),
        further=further
        and FurtherCalls(
            further["list"],
            further["key"],
            frozenset(further["inside"]),
            frozenset(further["beside"]),
            further["model"],
        ),
    )


def _tellings(fields: Mapping[str, Any]) -> tuple[Telling, ...]:
    return tuple(Telling(path, field["tells"], field.get("values", {})) for path, field in fields.items())


def _counts(flavour: str, fields: Mapping[str, Any]) -> tuple[tuple[Count, ...], tuple[int, ...]]:
    """Return the fields that count, and an order in which a field comes after all inside it."""
    units = {unit.name: unit for unit in load_units().all}
    places = {path: place for place, path in enumerate(fields)}
    for path, field in fields.items():
        if field["counts"] not in units:
            raise _contradiction(f"flavours/{flavour}/{path}", f"a unit of units.yml, got {field['counts']!r}")
        for other in (*field.get("within", ()), *((field["shared_with"],) if "shared_with" in field else ())):
            if other not in places:
                raise _contradiction(f"flavours/{flavour}/{path}", f"fields of it that count, got {other!r}")
        if "shared_with" in field and len(field.get("within", ())) != 1:
            raise _contradiction(f"flavours/{flavour}/{path}", "one whole of a shared field, got another number")
    within = [tuple(places[other] for other in field.get("within", ())) for field in fields.values()]
    above = [_above(place, within, flavour) for place in range(len(within))]
    inside = [tuple(place for place in range(len(within)) if whole in above[place]) for whole in range(len(within))]
    counts = []
    for place, (path, field) in enumerate(fields.items()):
        shared = places[field["shared_with"]] if "shared_with" in field else None
        crossings = tuple(
            other for other in range(len(within)) if shared is not None and {place, shared} <= set(within[other])
        )
        counts.append(
            Count(
                name=path,
                names=(path, *field.get("also", ())),
                unit=units[field["counts"]],
                within=within[place],
                inside=inside[place],
                shared_with=shared,
                crossings=crossings,
                required=field.get("required", False),
                rounds_up=field.get("rounds") == "up",
            )
        )
    return tuple(counts), tuple(sorted(range(len(counts)), key=lambda place: len(inside[place])))


def _above(place: int, within: list[tuple[int, ...]], flavour: str) -> frozenset[int]:
    """Return all fields that include a field, at any depth."""
    found: set[int] = set()
    waiting = list(within[place])
    while waiting:
        whole = waiting.pop()
        if whole == place:
            raise _contradiction(f"flavours/{flavour}", "no field within itself, got one")
        if whole not in found:
            found.add(whole)
            waiting.extend(within[whole])
    return frozenset(found)


def _names_once(flavour: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise _contradiction(f"flavours/{flavour}/{name}", "one meaning of a name, got two")


def _present(body: Any, path: tuple[str, ...]) -> bool:
    for step in path:
        if not isinstance(body, Mapping) or body.get(step) is None:
            return False
        body = body[step]
    return True


def _contradiction(place: str, expected: str) -> ReferenceDataError:
    return ReferenceDataError(f"{DOCUMENT}.yml, at {place}: expected {expected}")
