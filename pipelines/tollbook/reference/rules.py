"""Rules of JSON Schema in words: what a document was expected to say where it says something else."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from jsonschema import ValidationError

# A rule in words: more steps into the document, the rule, and what came: None for what stands there, "" for nothing.
Rule = tuple[tuple[str | int, ...], str, str | None]

_KINDS: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
_FORMATS: Final = {
    "decimal": 'a decimal in quotes, such as "2.50", of at most 15 digits before the point',
    "date-time": "a time with a zone, such as 2026-06-01T00:00:00Z",
    "date": "a date, such as 2026-06-01",
    "time": "a time of day in UTC, such as 16:30",
}
_BOUNDS: Final = {
    "minimum": "a number of {} or more",
    "maximum": "a number of {} or less",
    "exclusiveMinimum": "a number above {}",
    "exclusiveMaximum": "a number below {}",
    "minLength": "text of {} or more characters",
    "maxLength": "text of at most {} characters",
    "minItems": "a list of {} or more",
    "maxItems": "a list of at most {}",
    "minProperties": "a mapping of {} or more keys",
    "maxProperties": "a mapping of at most {} keys",
}


def rule_of(error: ValidationError, written: str | None) -> Iterator[Rule]:
    """Yield what an error of the schema says, in words; one for each key where several are at fault.

    Args:
        error: What the validator found.
        written: What stands there, as it is written.
    """
    schema = error.schema if isinstance(error.schema, dict) else {}
    told: Any = error.validator_value
    instance: Any = error.instance
    if "propertyNames" in list(error.relative_schema_path)[-3:-1]:
        words = schema.get("x-rule") or f"one that {error.validator} {told} allows"
        yield (instance,), f"expected another key: {words}", repr(instance)
    elif error.validator == "required":
        absent = [key for key in told if key not in instance and f"'{key}'" in error.message]
        yield from (((), f"expected the key {key!r}, got none", "") for key in absent)
    elif error.validator == "additionalProperties" and told is False:
        yield from _unknown_keys(instance, schema.get("properties", {}))
    elif error.validator == "dependentRequired":
        yield (), f"expected keys that belong together: {error.message}", ""
    elif error.validator in {"oneOf", "anyOf"}:
        yield from _alternatives(error, schema)
    else:
        yield (), f"expected {schema.get('x-rule') or _words(error, schema, written)}", None


def _words(error: ValidationError, schema: dict[str, Any], written: str | None) -> str:
    told: Any = error.validator_value
    validator = str(error.validator)
    if validator in _BOUNDS:
        return _BOUNDS[validator].format(told)
    if validator == "type":
        if schema.get("format") == "decimal" and isinstance(error.instance, int | float):
            return f'a decimal in quotes, as a number without them is rounded: write "{written}"'
        return _FORMATS.get(schema.get("format", ""), " or ".join(_KINDS[kind] for kind in _listed(told)))
    if validator == "format":
        return _FORMATS.get(told, f"a {told}")
    if validator in {"enum", "const"}:
        return "one of " + ", ".join(str(each) for each in (told if validator == "enum" else [told]))
    if validator == "pattern":
        return f"text that matches {told}"
    if validator == "uniqueItems":
        return "each item once"
    return f"what the schema allows ({error.message})"


def _unknown_keys(instance: dict[Any, Any], properties: dict[str, Any]) -> Iterator[Rule]:
    for key in instance:
        if key not in properties:
            near = difflib.get_close_matches(str(key), properties, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            yield (key,), f"expected one of the keys {', '.join(properties)}{hint}", f"the key {key!r}"


def _alternatives(error: ValidationError, schema: dict[str, Any]) -> Iterator[Rule]:
    """Yield which of several keys must be there; else what the alternative that came nearest lacks."""
    alternatives: Any = error.validator_value
    instance: Any = error.instance
    if all(isinstance(each, dict) and set(each) == {"required"} for each in alternatives):
        if not isinstance(instance, dict):
            return  # The rule of its type says so already.
        keys = [" and ".join(each["required"]) for each in alternatives]
        came = [key for key in keys if key in instance]
        count = "exactly one" if error.validator == "oneOf" else "one or more"
        yield (), f"expected {count} of {', '.join(keys)}, got {', '.join(came) or 'none of them'}", ""
    elif "x-rule" in schema or not error.context:
        yield (), f"expected {schema.get('x-rule') or 'exactly one of the alternatives of the schema'}", None
    else:
        nearest = max(error.context, key=lambda each: len(each.relative_path))
        for more, rule, value in rule_of(nearest, None):
            yield (*nearest.relative_path, *more), rule, value


def _listed(told: str | Sequence[str]) -> Iterable[str]:
    return [told] if isinstance(told, str) else told
