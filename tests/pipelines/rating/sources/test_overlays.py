"""Price overlays: what is refused, with its line, and what the example says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.rating.sources.entries import AliasEntry, PriceEntry, UpliftEntry
from tollbook.rating.sources.overlays import read_overlay, read_overlays
from tollbook.reference.documents import read_yaml

EXAMPLES = sorted((shipped_folder("schemas") / "examples" / "prices").glob("*.yml"))
GOOD = """\
price_overlay: 1
name: own
entries:
  - entry_id: a
    provider: openai
    model: gpt-4o
    rates: {input_tokens: "2.50"}
    valid_from: 2026-06-01T00:00:00Z
    known_from: 2026-06-03T08:00:00Z
    source: https://openai.com/api/pricing
    checked_on: 2026-06-03
aliases:
  - entry_id: b
    provider: azure
    alias: prod
    means: {provider: openai, model: gpt-4o}
    known_from: 2026-06-03T08:00:00Z
    source: s
region_uplifts:
  - entry_id: c
    provider: openai
    models: ["gpt-5*"]
    regions: ["eu*"]
    multiplier: "1.1"
    known_from: 2026-06-03T08:00:00Z
    source: s
withdrawals:
  - {entry_id: d, withdraws: c, known_from: 2026-07-01T00:00:00Z, reason: It was another model.}
"""


Told = tuple[int, str, str, str | None]


def refused(tmp_path: Path, text: str) -> list[Told]:
    """Return the faults of an overlay: line, field, rule, value."""
    path = tmp_path / "own.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReferenceDataError) as caught:
        read_overlay(path)
    assert {fault.file for fault in caught.value.faults} == {str(path)}
    return [(fault.line, fault.field, fault.rule, fault.value) for fault in caught.value.faults]


def test_a_good_overlay_is_read(tmp_path: Path) -> None:
    """The one that the tests below spoil."""
    (tmp_path / "own.yml").write_text(GOOD)
    (overlay,) = read_overlays(tmp_path)
    assert [type(each) for each in overlay.entries] == [PriceEntry, AliasEntry, UpliftEntry]
    assert [each.entry for each in overlay.known(None)] == ["own:a", "own:b"]
    assert len(overlay.known(overlay.entries[0].known_from)) == 3


RATE, ENTRY = "entries/0/rates/input_tokens", "entries/0"
LIMITS = "below 1,000,000 USD for one unit and of at most 24 decimals"
UNQUOTED = "expected a decimal in quotes, as a number without them is rounded: write "


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ('"2.50"', "2.50", (7, RATE, f'{UNQUOTED}"2.50"', "2.50")),
        ('"2.50"', "2", (7, RATE, f'{UNQUOTED}"2"', "2")),
        (
            '"2.50"',
            '"2,50"',
            (7, RATE, 'expected a decimal in quotes, such as "2.50", of at most 15 digits before the point', "'2,50'"),
        ),
        ('"2.50"', '"-1"', (7, RATE, f"expected a price of 0 or more, {LIMITS}", "'-1'")),
        (
            "valid_from: 2026-06-01T00:00:00Z",
            "valid_from: 2026-06-01",
            (8, f"{ENTRY}/valid_from", "expected a time with a zone, such as 2026-06-01T00:00:00Z", "'2026-06-01'"),
        ),
        (
            "checked_on: 2026-06-03",
            "valid_to: 2026-06-01T00:00:00Z",
            (
                11,
                f"{ENTRY}/valid_to",
                "expected an instant after valid_from, 2026-06-01T00:00:00Z",
                "'2026-06-01T00:00:00Z'",
            ),
        ),
        (
            "checked_on: 2026-06-03",
            "service_tier: bulk",
            (
                11,
                f"{ENTRY}/service_tier",
                "expected one of the service tiers default, batch, flex, priority, fast",
                "'bulk'",
            ),
        ),
        (
            "model: gpt-4o\n",
            'models: ["gpt-4o"]\n    model: x\n',
            (4, ENTRY, "expected exactly one of model, models, got model, models", None),
        ),
        (
            '    rates: {input_tokens: "2.50"}\n',
            "",
            (4, ENTRY, "expected one or more of rates, above_input_tokens, daily, got none of them", None),
        ),
        (
            "    source: https://openai.com/api/pricing\n",
            "",
            (4, ENTRY, "expected the key 'source', got none", None),
        ),
        (
            "model: gpt-4o\n",
            "model: gpt-4*\n",
            (6, f"{ENTRY}/model", "expected a model without `*` and blanks (patterns stand in `models`)", "'gpt-4*'"),
        ),
        (
            'multiplier: "1.1"',
            'multiplier: "0"',
            (24, "region_uplifts/0/multiplier", "expected a multiplier above 0, of at most 100", "'0'"),
        ),
        (
            "withdraws: c",
            "withdraws: e",
            (28, "withdrawals/0/withdraws", "expected the entry_id of an entry of this overlay", "'e'"),
        ),
        ("entry_id: b", "entry_id: a", (13, "aliases/0/entry_id", "expected each entry_id once in an overlay", "'a'")),
    ],
)
def test_a_malformed_overlay_names_file_line_field_value_and_rule(
    good: str, bad: str, told: Told, tmp_path: Path
) -> None:
    """A price table with a slip in it says where, before it charges anyone."""
    assert refused(tmp_path, GOOD.replace(good, bad)) == [told]


def test_an_unknown_rate_key_is_told_with_all_that_are_known(tmp_path: Path) -> None:
    """`input` is what other price tables call it; a rate that nothing reads would leave the old price standing."""
    (told,) = refused(tmp_path, GOOD.replace("input_tokens:", "input:"))
    assert told[:2] == (7, "entries/0/rates/input")
    assert told[2].startswith("expected one of the rate keys of units.yml, audio_seconds, ")
    assert told[3] == "'input'"


def test_times_of_day_and_contexts_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """Of two rates for one hour, whoever takes the first takes the wrong one half the time."""
    more = """    daily:
      - {from: "22:00", to: "06:00", rates: {input_tokens: "1"}}
      - {from: "05:00", to: "07:00", rates: {input_tokens: "1"}}
      - {from: "09:00", to: "09:00", rates: {input_tokens: "1"}}
    above_input_tokens:
      - {tokens: 200000, rates: {input_tokens: "1"}}
      - {tokens: 100000, rates: {input_tokens: "1"}}
    minimum_quantities: {calls: 3}
"""
    told = refused(tmp_path, GOOD.replace("    checked_on: 2026-06-03\n", more))
    assert [fault[:3] for fault in told] == [
        (11, "entries/0/daily", "expected times of day that do not overlap"),
        (14, "entries/0/daily/2/to", "expected another time than `from`"),
        (17, "entries/0/above_input_tokens/1/tokens", "expected more tokens than the 200000 before it"),
        (18, "entries/0/minimum_quantities/calls", "expected a unit of units.yml"),
    ]


def test_nothing_of_a_folder_with_a_malformed_overlay_is_loaded(tmp_path: Path) -> None:
    """Half of the prices would be a price list that nobody wrote."""
    (tmp_path / "good.yml").write_text(GOOD)
    (tmp_path / "bad.yml").write_text(GOOD.replace('"2.50"', "2.50").replace("name: own", "name: other"))
    with pytest.raises(ReferenceDataError, match=r"bad\.yml:7: entries/0/rates/input_tokens"):
        read_overlays(tmp_path)


def test_two_overlays_of_one_name_are_refused(tmp_path: Path) -> None:
    """Ids of prices begin with the name; one id must lead to one entry."""
    for name in ("a.yml", "b.yaml"):
        (tmp_path / name).write_text(GOOD)
    with pytest.raises(ReferenceDataError, match=r"one overlay of each name, got own in .*a\.yml and .*b\.yaml"):
        read_overlays(tmp_path)
    assert read_overlays(tmp_path / "absent") == ()


@pytest.mark.parametrize(
    "place",
    [(), ("entries", 0), ("aliases", 0), ("aliases", 0, "means"), ("region_uplifts", 0), ("withdrawals", 0)],
    ids=str,
)
def test_an_unknown_key_is_refused_wherever_it_stands(place: tuple[str | int, ...], tmp_path: Path) -> None:
    """A misspelt keyword guards nothing: `valid_form` would make a price hold for ever."""
    (tmp_path / "good.yml").write_text(GOOD)
    document = read_yaml(tmp_path / "good.yml").content
    at: Any = document
    for step in place:
        at = at[step]
    at["valid_form"] = "x"
    (told,) = refused(tmp_path, yaml.safe_dump(document))
    assert told[3] == "the key 'valid_form'"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_loads_and_says_what_it_assumes(path: Path) -> None:
    """Examples are copied; a broken one is copied too."""
    assert read_overlay(path).entries
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Shape: schemas/documents/price_overlay.schema.json\n")
    assert len(yaml.safe_load(text)["description"]) > 80


def test_there_is_an_example() -> None:
    """An empty folder would let the test above pass."""
    assert [path.name for path in EXAMPLES] == ["corrections.yml"]


def test_a_price_at_the_limits_that_a_refusal_tells_is_taken(tmp_path: Path) -> None:
    """'That a cost can hold, no finer than it' told nobody what to write."""
    finest = f"0.{'0' * 23}1"
    path = tmp_path / "own.yml"
    for told in (finest, "999999999999"):
        path.write_text(GOOD.replace('"2.50"', f'"{told}"'))
        assert len(read_overlay(path).entries) == 3
    rule = f"expected a price of 0 or more, {LIMITS}"
    for told in (f"0.{'0' * 24}1", "1000000000000"):
        assert refused(tmp_path, GOOD.replace('"2.50"', f'"{told}"')) == [(7, RATE, rule, f"'{told}'")]
