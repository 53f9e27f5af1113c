"""Contracts from YAML: what they say is exact, and a file with a fault is refused whole, by line and rule."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import CommittedUse, NegotiatedRates, PrepaidCredit, Step, VolumeTiers
from tollbook.rating.prices import Price
from tollbook.rating.sources.contract_documents import read_contract
from tollbook.rating.sources.contracts import (
    NO_CONTRACTS,
    LoadedContract,
    contracts_version,
    load_contract,
    read_contracts,
)

EXAMPLES = shipped_folder("schemas") / "examples" / "contracts"
HEAD = """
contract: 1
contract_id: acme
provider: openai
currency: USD
valid_from: 2026-01-01
valid_to: 2027-01-01
known_from: 2025-12-01T00:00:00Z
author: a
reason: r
terms:
"""
DISCOUNT = """
  - term_id: off
    discount: {percent: "10"}
"""


NOW = datetime(2026, 7, 10, tzinfo=UTC)
BOOK = PriceBook.of(Catalogue.from_rows([Price("openai", "gpt-5", {"input_tokens": 1_000_000})], version="list"))


def load(path: Path, folder: Path) -> LoadedContract:
    """Put a contract into use on 10 July 2026."""
    return load_contract(path, folder, BOOK, now=NOW)


def written(folder: Path, text: str, name: str = "acme.yml") -> Path:
    """Write a contract and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text.lstrip(), encoding="utf-8")
    return path


def test_the_examples_read_as_they_say() -> None:
    """They are what people copy from."""
    openai = read_contract(EXAMPLES / "openai-2026.contract.yml")
    assert openai.billing_accounts == frozenset({"org-main", "org-research"})
    assert (openai.valid_from, openai.valid_to) == (date(2026, 1, 1), date(2027, 1, 1))
    rates, _, volume, _ = (term.body for term in openai.terms)
    # 1.10 USD a million tokens.
    assert isinstance(rates, NegotiatedRates)
    assert rates.rates == {"input_tokens": Fraction(11, 10_000_000), "output_tokens": Fraction(9, 1_000_000)}
    assert isinstance(volume, VolumeTiers)
    assert volume.steps[1] == Step(Fraction(10**9), share=Fraction(1, 10))
    mistral = read_contract(EXAMPLES / "mistral-eu.contract.yml")
    assert mistral.known_from == datetime(2026, 2, 20, 14, 30, tzinfo=UTC)
    _, use, credit = (term.body for term in mistral.terms)
    assert use == CommittedUse(Fraction(500), 2_000_000_000, Fraction(1, 5_000_000))
    assert credit == PrepaidCredit(Fraction(10_000), Fraction(9_500), date(2026, 3, 2), date(2026, 9, 1), 0)


FAULTS = [
    (
        '  - term_id: t\n    discount: {percent: "101"}',
        12,
        "terms/0/discount/percent",
        "'101'",
        "from 0 to 100 percent",
    ),
    ("  - term_id: t\n    discount: {percent: 10}", 12, "terms/0/discount/percent", "10", "a decimal in quotes"),
    ('  - term_id: t\n    rates: {inptu: "1"}', 12, "terms/0/rates/inptu", "'inptu'", "a rate key of units.yml"),
    ('  - term_id: t\n    rates: {input_tokens: "-1"}', 12, "terms/0/rates/input_tokens", "'-1'", "zero or more"),
    ("  - term_id: t\n    disount: {}", 12, "terms/0/disount", "the key 'disount'", "did you mean 'discount'?"),
    ("  - term_id: t", 11, "terms/0", None, "exactly one of rates, discount"),
    (f"{DISCOUNT}{DISCOUNT}", 15, "terms/1/term_id", "'off'", "each term_id once"),
    (
        '  - {term_id: t, valid_from: 2025-06-01, discount: {percent: "1"}}',
        11,
        "terms/0/valid_from",
        None,
        "a day of the",
    ),
    ('  - {term_id: t, valid_to: 2027-06-01, discount: {percent: "1"}}', 11, "terms/0/valid_to", None, "no day after"),
    (
        '  - term_id: t\n    volume_tiers: {counts: tokens, mode: graduated, steps: [{from: "5"}]}',
        12,
        "terms/0/volume_tiers/steps/0/from",
        "'5'",
        "the first step to begin at",
    ),
    (
        '  - term_id: t\n    volume_tiers: {counts: spend, mode: graduated, steps: [{from: "0"}, {from: "0"}]}',
        12,
        "terms/0/volume_tiers/steps/1/from",
        "'0'",
        "growing quantities",
    ),
    (
        '  - term_id: t\n    volume_tiers: {counts: tokens, mode: graduated, steps: [{from: "0", rate: "1"}]}',
        12,
        "terms/0/volume_tiers/steps/0/rate",
        "'1'",
        "applies_to/rate_keys beside a rate",
    ),
    (
        '  - term_id: t\n    prepaid_credit: {amount: "5", purchased_on: 2027-03-01}',
        12,
        "terms/0/prepaid_credit/purchased_on",
        "'2027-03-01'",
        "a day of the term",
    ),
    (
        '  - term_id: t\n    applies_to: {service_tiers: [warp]}\n    discount: {percent: "1"}',
        12,
        "terms/0/applies_to/service_tiers/0",
        "'warp'",
        "a service tier",
    ),
    (
        '  - term_id: t\n    applies_to: {regions: [eu]}\n    committed_use: {fee: "1", included_tokens: 1}',
        12,
        "terms/0/applies_to/regions",
        "a list",
        "beside rates or a discount alone",
    ),
    (
        "  - {term_id: t, applies_to: {rate_keys: [web_searches]}, committed_use: {fee: '1', included_tokens: 1}}",
        11,
        "terms/0/applies_to/rate_keys/0",
        "'web_searches'",
        "a rate key of tokens beside committed_use",
    ),
]


@pytest.mark.parametrize(("terms", "line", "field", "value", "rule"), FAULTS, ids=[fault[4] for fault in FAULTS])
def test_a_malformed_contract_names_file_line_field_value_and_rule(
    tmp_path: Path, terms: str, line: int, field: str, value: str | None, rule: str
) -> None:
    """Whoever wrote the file must find the place without reading our code, and nothing of it is loaded."""
    path = written(tmp_path / "in", f"{HEAD}{terms}\n")
    with pytest.raises(ReferenceDataError) as refused:
        load(path, tmp_path / "contracts")
    (fault,) = [each for each in refused.value.faults if rule in each.rule]
    assert (fault.file, fault.line, fault.field) == (str(path), line, field)
    if value is not None:
        assert fault.value == value
    assert not (tmp_path / "contracts").exists()


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """One fault a run would take an afternoon."""
    text = f'{HEAD}  - term_id: t\n    rates: {{input_tokens: "-1", nothing: "2"}}\n'
    with pytest.raises(ReferenceDataError, match="got 2 in") as refused:
        read_contract(written(tmp_path, text))
    assert len(refused.value.faults) == 2


def test_two_contracts_for_one_account_and_model_at_one_time_are_refused(tmp_path: Path) -> None:
    """Which of two prices holds must not depend on the name of a file."""
    folder = tmp_path / "contracts"
    load(written(tmp_path, HEAD + DISCOUNT), folder)
    other = HEAD.replace("contract_id: acme", "contract_id: other") + DISCOUNT
    with pytest.raises(ReferenceDataError, match="one contract for a model of an account at a time, but acme"):
        load(written(tmp_path, other, "other.yml"), folder)
    written(folder, other, "other.yml")
    with pytest.raises(ReferenceDataError, match="from 2026-01-01 on too"):
        read_contracts(folder, as_of=NOW)


@pytest.mark.parametrize(
    "apart",
    [
        ("provider: openai", "provider: anthropic"),
        ("valid_from: 2026-01-01\nvalid_to: 2027-01-01", "valid_from: 2027-01-01"),
    ],
)
def test_contracts_apart_in_provider_or_time_stand_side_by_side(tmp_path: Path, apart: tuple[str, str]) -> None:
    """A renewal begins on the day the contract before it ends."""
    folder = tmp_path / "contracts"
    load(written(tmp_path, HEAD + DISCOUNT), folder)
    other = HEAD.replace("contract_id: acme", "contract_id: other").replace(*apart) + DISCOUNT
    load(written(tmp_path, other, "other.yml"), folder)
    assert [each.contract_id for each in read_contracts(folder, as_of=NOW)] == ["acme", "other"]


@pytest.mark.parametrize(("models", "overlap"), [("gpt-5-mini*", True), ("gpt-4*", False), ("GPT-5", True)])
def test_contracts_are_apart_when_no_model_can_match_both(tmp_path: Path, models: str, overlap: bool) -> None:
    """Also for models that no price list knows yet."""
    folder = tmp_path / "contracts"
    scoped = HEAD.replace("currency:", 'models: ["gpt-5*"]\nbilling_accounts: [one, two]\ncurrency:')
    load(written(tmp_path, scoped + DISCOUNT), folder)
    other = HEAD.replace("contract_id: acme", "contract_id: other").replace(
        "currency:", f'models: ["{models}"]\ncurrency:'
    )
    path = written(tmp_path, other + DISCOUNT, "other.yml")
    if overlap:
        with pytest.raises(ReferenceDataError, match="one contract for a model"):
            load(path, folder)
    else:
        load(path, folder)


def test_a_contract_is_superseded_and_never_edited(tmp_path: Path) -> None:
    """What was charged in March must be explained by what was known in March."""
    folder = tmp_path / "contracts"
    assert read_contracts(folder, as_of=NOW) == ()
    assert contracts_version(()) == NO_CONTRACTS
    first = load(written(tmp_path, HEAD + DISCOUNT), folder).contract
    assert load(written(tmp_path, HEAD + DISCOUNT), folder).contract == first
    edited = HEAD + DISCOUNT.replace('"10"', '"20"')
    with pytest.raises(ReferenceDataError, match="superseded and not edited"):
        load(written(tmp_path, edited), folder)
    amended = edited.replace("known_from: 2025-12-01", "known_from: 2026-03-01")
    second = load(written(tmp_path, amended), folder).contract
    assert read_contracts(folder, as_of=NOW) == (second,)
    assert read_contracts(folder, as_of=datetime(2026, 2, 1, tzinfo=UTC)) == (first,)
    assert read_contracts(folder, as_of=datetime(2025, 11, 30, tzinfo=UTC)) == ()
    assert contracts_version([second]) != contracts_version([first])


def test_a_discount_may_name_rate_keys_of_anything_that_is_billed(tmp_path: Path) -> None:
    """It is taken off each request, where web searches are counted; totals of a period count tokens alone."""
    text = f"{HEAD}  - term_id: off\n    applies_to: {{rate_keys: [web_searches]}}\n    discount: {{percent: '10'}}\n"
    assert read_contract(written(tmp_path, text)).terms[0].reach.rate_keys == frozenset({"web_searches"})


def test_a_star_is_no_account(tmp_path: Path) -> None:
    """By request it stood for every account, over a period for none: who means all names none."""
    text = HEAD.replace("currency:", 'billing_accounts: [a, "*"]\ncurrency:') + DISCOUNT
    with pytest.raises(ReferenceDataError, match=r"billing_accounts/1.*expected an account") as refused:
        read_contract(written(tmp_path, text))
    assert [(fault.line, fault.value) for fault in refused.value.faults] == [(4, "'*'")]


def test_a_contract_that_becomes_known_tomorrow_is_not_in_force_today(tmp_path: Path) -> None:
    """It is refused when it is loaded; one that was put there by hand waits for its day."""
    folder = tmp_path / "contracts"
    first = load(written(tmp_path, HEAD + DISCOUNT), folder).contract
    later = (HEAD + DISCOUNT).replace("known_from: 2025-12-01", "known_from: 2026-07-11").replace('"10"', '"90"')
    path = written(tmp_path, later)
    with pytest.raises(ReferenceDataError, match="expected known_from not after now, 2026-07-10T00:00:00Z"):
        load(path, folder)
    path = written(folder, later, "by-hand.yml")
    assert read_contracts(folder, as_of=NOW) == (first,)
    assert read_contracts(folder, as_of=datetime(2026, 7, 11, tzinfo=UTC)) == (read_contract(path),)


FEE = """
  - term_id: fee
    committed_use: {fee: "100", included_tokens: 1000}
"""


def test_an_amendment_that_begins_later_does_not_wipe_the_past_of_a_contract(tmp_path: Path) -> None:
    """July's file held for June too, and covered none of it: every fee and discount since January was gone."""
    folder = tmp_path / "contracts"
    first = load(written(tmp_path, HEAD + DISCOUNT + FEE), folder).contract
    text = (HEAD + DISCOUNT + FEE).replace("known_from: 2025-12-01", "known_from: 2026-07-01")
    amended = text.replace("valid_from: 2026-01-01", "valid_from: 2026-07-01").replace('"10"', '"20"')
    with pytest.raises(ReferenceDataError, match="expected 2026-01-01 or earlier, as it was known before") as refused:
        load(written(tmp_path, amended), folder)
    assert [(fault.line, fault.field) for fault in refused.value.faults] == [(5, "valid_from")]
    assert read_contracts(folder, as_of=NOW) == (first,)
    with pytest.raises(ReferenceDataError, match="expected openai, as it was known before"):
        load(written(tmp_path, text.replace("provider: openai", "provider: azure")), folder)
    dated = text.replace("discount:", "valid_from: 2026-07-01\n    discount:")
    kept = dated + '  - {term_id: before, valid_to: 2026-07-01, discount: {percent: "10"}}\n'
    assert load(written(tmp_path, kept), folder).notices == (
        "acme: term off no longer holds from 2026-01-01 to 2026-06-30",
    )


def test_what_an_amendment_takes_back_of_the_past_is_told(tmp_path: Path) -> None:
    """Accounts, models and terms that are gone had charges yesterday; days that have not begun had none."""
    folder = tmp_path / "contracts"
    scoped = HEAD.replace("currency:", 'models: ["gpt-*", o3]\nbilling_accounts: [a, b]\ncurrency:')
    tiers = FEE.replace("committed_use", "applies_to: {service_tiers: [default, batch]}\n    committed_use")
    load(written(tmp_path, scoped + DISCOUNT + tiers), folder)
    less = scoped.replace("[a, b]", "[b, c]").replace('["gpt-*", o3]', '["gpt-*"]').replace("2025-12-01", "2026-07-01")
    less = less.replace("valid_to: 2027-01-01", "valid_to: 2026-07-08")
    narrow = FEE.replace("committed_use", "applies_to: {service_tiers: [batch]}\n    committed_use")
    assert load(written(tmp_path, less + narrow), folder).notices == (
        "acme: term fee reaches no list price of openai",
        "acme: days from 2026-07-08 to 2026-07-10 are no longer covered",
        "acme: accounts a are no longer covered, from 2026-01-01 on",
        "acme: models o3 are no longer covered as before, from 2026-01-01 on",
        "acme: term off is gone, and what it made of days from 2026-01-01 on",
        "acme: term fee no longer holds from 2026-07-08 to 2026-07-10",
        "acme: term fee reaches less than before, from 2026-01-01 on",
    )
