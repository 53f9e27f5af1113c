"""Charges as FOCUS has them, with amounts worked by hand."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import jsonschema
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.cli import main
from tollbook.errors import ExportChangedError, MisuseError
from tollbook.exports.focus.columns import COST_AND_USAGE, DATA_SETS, REJECTED, VERSIONS, data_set, json_text
from tollbook.exports.focus.export import export_focus
from tollbook.exports.focus.quantities import priced

if TYPE_CHECKING:
    from tests.pipelines.exports.conftest import ChargeBook

D = Decimal
COSTS = ("ListCost", "ContractedCost", "EffectiveCost", "BilledCost")
PURCHASE = {
    "charge_category": "Purchase",
    "charge_frequency": "Recurring",
    "charge_kind": "platform_cost",
    "charge_component": "servers",
    "source_kind": "platform",
    "source_id": "gateway",
    "provider": None,
    "model": None,
    "billed_by": None,
    "calls": 0,
    "origin_charge_id": "origin-1",
    "allocated_method_id": "by-calls",
}


def rows_of(charges: ChargeBook, version: str = "1.4", name: str = COST_AND_USAGE) -> list[dict[str, Any]]:
    """Publish, export, and return the rows of a data set."""
    folder = export_focus(charges.publish(), "2026-06", version).export.folder
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


def shared(ratio: str, fraction: str, **told: Any) -> dict[str, Any]:
    """Return a purchase of which someone bears a part."""
    details = {"method": "proportional", "driver": "calls", "ratio": fraction, "through": []}
    return PURCHASE | {"allocated_ratio": D(ratio), "allocated_method_details": json.dumps(details)} | told


def test_focus_export_has_tokens_and_tags_pitfall_16(charges: ChargeBook) -> None:
    """3,000,000 tokens for 4.50 list and 3 contracted: 3 pricing units of a million at 1.50 and 1.00."""
    charges.charge(
        "search",
        "3",
        list_cost=D("4.5"),
        sku_price_id="genai/openai/gpt-5/batch/undated/base",
        total_tokens=3_000_000,
        input_tokens=2_000_000,
        cache_read_tokens=500_000,
        output_tokens=1_000_000,
        inference_path="model_api",
    )
    for version in VERSIONS:
        (row,) = rows_of(charges, version)
        assert (row["ConsumedQuantity"], row["ConsumedUnit"]) == (D(3_000_000), "Tokens")
        assert (row["PricingQuantity"], row["PricingUnit"]) == (D(3), "1000000 Tokens")
        assert (row["ListUnitPrice"], row["ContractedUnitPrice"]) == (D("1.5"), D(1))
        assert [row[name] for name in COSTS] == [D("4.5"), D(3), D(3), D(3)]
        assert (row["SkuId"], row["SkuPriceId"]) == ("genai/openai/gpt-5", "genai/openai/gpt-5/batch/undated/base")
        assert json.loads(row["SkuPriceDetails"]) == {
            "x_Context": "base",
            "x_Model": "gpt-5",
            "x_ServiceTier": "batch",
            "x_ValidFrom": "undated",
        }
        assert json.loads(row["Tags"]) == {
            "business_unit": "BU",
            "cost_center": "CC-search",
            "team": "search",
            "workflow": "answers",
        }
        tokens = ("x_InputTokens", "x_CacheReadTokens", "x_OutputTokens")
        assert [row[name] for name in tokens] == [2_000_000, 500_000, 1_000_000]
        assert (row["x_Team"], row["x_Workflow"], row["x_InferencePath"]) == ("search", "answers", "model_api")


def test_each_version_has_its_own_columns_in_csv_and_parquet_alike(charges: ChargeBook) -> None:
    """1.4 replaced ProviderName and brought allocation; both files of a data set have the contract's columns."""
    charges.charge("search", "1")
    folders = {version: export_focus(charges.publish(), "2026-06", version).export.folder for version in VERSIONS}
    names = {}
    for version, folder in folders.items():
        for name in (*DATA_SETS[version], REJECTED):
            shape = data_set(name, version)
            for path in folder.glob(f"{name}.parquet"):
                assert pq.read_schema(path).equals(shape.arrow_schema)
                (heading, *_) = csv.reader(io.StringIO(path.with_suffix(".csv").read_text("utf-8")))
                assert tuple(heading) == shape.names
                jsonschema.Draft202012Validator.check_schema(shape.json_schema)
        names[version] = set(data_set(COST_AND_USAGE, version).names)
    assert names["1.2"] - names["1.4"] == {"ProviderName", "PublisherName"}
    assert names["1.4"] - names["1.2"] >= {"ServiceProviderName", "AllocatedMethodId", "InvoiceDetailId"}
    (row,) = csv.DictReader(io.StringIO((folders["1.4"] / "cost_and_usage.csv").read_text("utf-8"), newline=""))
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == ("2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z")


def test_unknown_costs_are_listed_and_never_zero(charges: ChargeBook, capsys: pytest.CaptureFixture[str]) -> None:
    """The charge that nobody can price is in no data set of FOCUS, and the command exits 1."""
    charges.charge("search", "1")
    charges.charge("care", None, calls=2, unpriced_calls=2, unpriced_tokens=70, cost_basis="unpriced")
    home = str(charges.publish().home)

    assert main(["export", "focus", "--period", "2026-06", "--home", home, "--json"]) == 1
    told = capsys.readouterr()
    assert "charges of unknown cost, in rejected_charge.csv and in no data set of FOCUS: 1" in told.err
    facts = json.loads(told.out)
    assert (facts["rows"]["cost_and_usage"], facts["rows"]["rejected_charge"]) == (1, 1)
    (row,) = rows_of(charges, name=REJECTED)
    assert row["x_Reason"] == "unknown: list cost, contracted cost, effective cost"
    assert (row["x_Team"], row["x_UnpricedCalls"], row["x_UnpricedTokens"]) == ("care", 2, 70)
    assert row["x_ListCost"] is None


def test_a_purchase_that_is_used_up_is_a_purchase_and_its_use(charges: ChargeBook) -> None:
    """12 paid, of which 2 are used: FOCUS has no effective cost on a Purchase. The parts sum to the charge."""
    charges.charge("search", "12", **shared("0.75", "3/4", effective_cost=D(2), pricing_currency_effective_cost=D(2)))
    use, purchase = sorted(rows_of(charges), key=lambda row: str(row["ChargeCategory"]) == "Purchase")

    assert [purchase[name] for name in COSTS] == [D(12), D(12), D(0), D(12)]
    assert [use[name] for name in COSTS] == [D(0), D(0), D(2), D(0)]
    assert (use["ChargeCategory"], use["ConsumedQuantity"], use["ConsumedUnit"]) == ("Usage", D(1), "Units")
    assert (purchase["ConsumedQuantity"], purchase["PricingQuantity"], purchase["ListUnitPrice"]) == (None, D(1), D(12))
    assert [row["x_ChargePart"] for row in (purchase, use)] == ["purchase", "use"]


def test_allocated_parts_name_method_ratio_and_bearer(charges: ChargeBook) -> None:
    """Three quarters of 8 are 6: each part has the whole in x_SplitOriginCost, and its ratio exactly."""
    charges.charge("search", "6", **shared("0.75", "3/4", effective_cost=D(0)))
    charges.charge("care", "2", **shared("0.25", "1/4", effective_cost=D(0)))
    care, search = sorted(rows_of(charges), key=lambda row: str(row["x_Team"]))

    assert json.loads(search["AllocatedMethodDetails"]) == {
        "Elements": [
            {
                "AllocatedRatio": 0.75,
                "UsageUnit": "calls",
                "x_Method": "proportional",
                "x_Ratio": "3/4",
                "x_Through": [],
            }
        ]
    }
    assert (search["AllocatedMethodId"], search["AllocatedResourceId"]) == ("by-calls", "BU/CC-search/search/answers")
    assert {row["x_SplitOriginId"] for row in (care, search)} == {"origin-1/whole"}
    assert [row["x_SplitOriginCost"] for row in (care, search)] == [D(8), D(8)]
    assert search["InvoiceIssuerName"] == "Internal"


def test_a_credit_that_is_used_over_time_is_an_adjustment(charges: ChargeBook) -> None:
    """FOCUS has billed and effective cost of a Credit equal; -10 billed and -4 used are not."""
    drawdown = {"charge_category": "Credit", "charge_kind": "prepaid_drawdown", "source_kind": "contract"}
    charges.charge("search", "-10", **drawdown, effective_cost=D(-4))
    charges.charge("care", "-3", **drawdown)
    care, search = sorted(rows_of(charges), key=lambda row: str(row["x_Team"]))

    assert (search["ChargeCategory"], search["EffectiveCost"], search["BilledCost"]) == ("Adjustment", D(-4), D(-10))
    assert (care["ChargeCategory"], care["EffectiveCost"], care["BilledCost"]) == ("Credit", D(-3), D(-3))
    assert care["SkuPriceId"] is None


def test_costs_of_opposite_signs_get_a_row_each(charges: ChargeBook) -> None:
    """A correction that raises the list price and lowers the agreed one; its tokens count once."""
    charges.charge("search", "-2", list_cost=D(3), charge_class="Correction", total_tokens=-1_000_000, calls=-1)
    contracted, listed = sorted(rows_of(charges), key=lambda row: str(row["x_ChargePart"]))

    assert [listed[name] for name in COSTS] == [D(3), D(0), D(0), D(0)]
    assert [contracted[name] for name in COSTS] == [D(0), D(-2), D(-2), D(-2)]
    assert (contracted["PricingQuantity"], contracted["ContractedUnitPrice"]) == (D(-1), D(2))
    assert [row["x_Calls"] for row in (contracted, listed)] == [-1, 0]
    assert [row["ConsumedUnit"] for row in (contracted, listed)] == ["Tokens", "Units"]


def test_charges_name_the_invoice_that_bills_them(charges: ChargeBook) -> None:
    """One line bills gpt-5; nothing bills care's yet, so its billed cost is what becomes payable."""
    charges.charge("search", "2", billed_cost=D("1.9"))
    charges.charge("care", "3", provider="anthropic", billed_by="anthropic", obligation="usage anthropic")
    charges.invoice("I-1", "1.9")
    charges.invoice("I-1", "0.4", line_id="vat", charge_category="Tax")
    care, search = sorted(rows_of(charges), key=lambda row: str(row["x_Team"]))

    assert (search["InvoiceId"], search["InvoiceDetailId"]) == ("I-1", "openai/I-1/usage")
    assert (search["BilledCost"], search["x_BilledCostBasis"]) == (D("1.9"), "Invoiced")
    assert (care["InvoiceId"], care["InvoiceDetailId"]) == ("provisional/anthropic/2026-06", None)
    assert (care["BilledCost"], care["x_BilledCostBasis"]) == (D(3), "Provisional")
    details = rows_of(charges, name="invoice_detail")
    assert {(row["InvoiceDetailId"], row["BilledCost"]) for row in details} == {
        ("openai/I-1/usage", D("1.9")),
        ("openai/I-1/vat", D("0.4")),
    }


def test_a_credit_note_is_of_the_invoice_that_it_credits(charges: ChargeBook) -> None:
    """Two documents bill the usage together, and it has one invoice: which line is not one thing any more."""
    charges.charge("search", "2", billed_cost=D("1.5"))
    charges.invoice("I-1", "2")
    charges.invoice("C-1", "-0.5", credit_note_for="I-1", charge_category="Credit")
    (row,) = rows_of(charges)

    assert (row["InvoiceId"], row["InvoiceDetailId"]) == ("I-1", None)


def test_corrections_stand_in_the_open_period_and_name_the_closed_one(charges: ChargeBook) -> None:
    """FOCUS: the billing period is the open one, the charge period the original one."""
    charges.charge(
        "search",
        "1",
        charge_class="Correction",
        corrects_period_start=date(2026, 5, 1),
        charge_period_start=datetime(2026, 5, 1, tzinfo=UTC),
        charge_period_end=datetime(2026, 6, 1, tzinfo=UTC),
        total_tokens=0,
        calls=0,
    )
    (row,) = rows_of(charges)

    assert row["BillingPeriodStart"] == datetime(2026, 6, 1, tzinfo=UTC)
    assert row["ChargePeriodStart"] == datetime(2026, 5, 1, tzinfo=UTC)
    assert (row["ChargeClass"], row["x_CorrectsBillingPeriodStart"]) == ("Correction", date(2026, 5, 1))
    assert (row["PricingQuantity"], row["PricingUnit"], row["ListUnitPrice"]) == (D(1), "Units", D(1))


def test_a_second_run_writes_nothing_and_an_altered_file_is_named(charges: ChargeBook) -> None:
    """As statements and journals."""
    charges.charge("search", "1")
    first = export_focus(charges.publish(), "2026-06", "1.2").export
    second = export_focus(charges.settings, "2026-06", "1.2").export
    assert (first.written, second.written, first.digest) == (True, False, second.digest)
    assert first.folder == charges.settings.exports / "focus" / "2026-06" / "1.2-build-3"

    (first.folder / "cost_and_usage.parquet").write_bytes(b"mine")
    with pytest.raises(ExportChangedError, match=r"cost_and_usage\.parquet as it was exported"):
        export_focus(charges.settings, "2026-06", "1.2")


def test_another_version_of_focus_is_misuse(charges: ChargeBook) -> None:
    """It says which there are."""
    with pytest.raises(MisuseError, match=r"among 1\.2, 1\.4, got '1\.3'"):
        export_focus(charges.settings, "2026-06", "1.3")


def test_json_has_decimals_as_numbers_with_every_digit() -> None:
    """A float would lose the last ones."""
    assert json_text({"b": D("0.100000000001"), "a": None}) == '{"a":null,"b":0.100000000001}'


@given(
    tokens=st.integers(-(10**15), 10**15).filter(bool),
    listed=st.decimals(0, 10**9, places=12),
    contracted=st.decimals(0, 10**9, places=12),
    sign=st.sampled_from((1, -1)),
)
def test_unit_prices_times_quantity_are_the_costs(tokens: int, listed: Decimal, contracted: Decimal, sign: int) -> None:
    """Within half a millionth of a millionth for each million pricing units, and never a price below zero."""
    costs = (sign * listed, sign * contracted)
    quantity, _, prices = priced(D(tokens), "Tokens", costs)

    for cost, price in zip(costs, prices, strict=True):
        assert price >= 0
        assert abs(price * quantity - cost) <= abs(quantity) * D("0.5e-18")
