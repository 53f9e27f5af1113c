"""FOCUS's own validators read the exports of a real build: `make focus` gives them an environment of their own."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tollbook.exports.focus.export import export_focus

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

ROOT = Path(__file__).parents[4]
TOOLKIT = ROOT / ".tools" / "focus" / "bin"
FOCUS = ROOT / "schemas" / "focus"
MODEL = "1.2.0.1"
# Its condition, whether an invoice is there, cannot be computed, so the model asks that no row has an InvoiceId, and
# InvoiceId-C-005-C that every row has one. Whatever a file holds, one of them fails; that one of them passes is
# InvoiceId-C-003-C. Source: FOCUS_Spec#2394.
CONTRADICTORY = {"InvoiceId-C-004-C"}
ONE_OF_THEM = "InvoiceId-C-003-C"
CRITERIA = (
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)
"""What the export declares to support; the validator holds the rules of these too."""
_DECLARED = f"""
import sys
from focus_data_toolkit.official_validator import run_official_validator
declared = ("--applicability-criteria", {",".join(CRITERIA)!r})
sys.exit(run_official_validator(sys.argv[1], {MODEL!r}, extra_args=declared))
"""
_RESULT = re.compile(r"^\S+ ([\w.-]+): (PASS|FAIL|SKIPPED) +\(violations=\d+(?:, reason=(.*?), msg=)?", re.MULTILINE)


def run(*command: str | Path) -> str:
    """Run a program of the validators' environment and return what it printed."""
    program, *arguments = command
    done = subprocess.run([TOOLKIT / program, *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def results(report: str) -> dict[str, tuple[str, str]]:
    """Return what became of each rule, and why it was skipped, of a report that is whole."""
    told = {rule: (result, reason) for rule, result, reason in _RESULT.findall(report)}
    total = re.search(r"Total: (\d+)", report)
    assert total is not None, report
    assert len(told) == int(total[1])
    return told


@pytest.fixture(scope="module")
def of_1_2(real_book: LakeBuilder) -> Path:
    """Return the folder of FOCUS 1.2."""
    return export_focus(real_book.settings, "2026-06", "1.2").export.folder


@pytest.fixture(scope="module")
def of_1_4(real_book: LakeBuilder) -> Path:
    """Return the folder of FOCUS 1.4."""
    return export_focus(real_book.settings, "2026-06", "1.4").export.folder


@pytest.fixture(scope="module")
def declared(of_1_2: Path) -> dict[str, tuple[str, str]]:
    """Return the results of the official validator, with what the export supports declared."""
    return results(run("python", "-c", _DECLARED, of_1_2 / "cost_and_usage.parquet"))


def test_the_official_validation_of_1_2_has_no_failed_rule(of_1_2: Path) -> None:
    """As anyone runs it: `focus-toolkit validate --official`."""
    told = results(
        run("focus-toolkit", "validate", "--official", "--focus-version", MODEL, of_1_2 / "cost_and_usage.parquet")
    )

    assert {rule for rule, (result, _) in told.items() if result == "FAIL"} == CONTRADICTORY
    assert told[ONE_OF_THEM][0] == "PASS"


def test_nor_with_the_rules_of_all_that_the_export_supports(declared: dict[str, tuple[str, str]]) -> None:
    """Tokens, unit prices, SKUs, sub-accounts, tags and currencies are held too."""
    assert {rule for rule, (result, _) in declared.items() if result == "FAIL"} == CONTRADICTORY
    assert declared[ONE_OF_THEM][0] == "PASS"
    for rule in (
        "ConsumedQuantity-C-004-C",
        "SkuPriceId-C-008-M",
        "ListUnitPrice-C-010-C",
        "ContractedUnitPrice-C-011-C",
    ):
        assert declared[rule][0] == "PASS"


def test_each_skipped_rule_is_explained(declared: dict[str, tuple[str, str]]) -> None:
    """`skipped_rules.csv` has the kind of each, and the README a row for each kind; no more and no less."""
    with (FOCUS / "skipped_rules.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["rule"]: (row["reason"], row["kind"]) for row in csv.DictReader(file)}
    explained = re.findall(r"^\| `([a-z_]+)` \|", (FOCUS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert {rule: reason for rule, (reason, _) in listed.items()} == {
        rule: reason for rule, (result, reason) in declared.items() if result == "SKIPPED"
    }
    assert {kind for _, kind in listed.values()} == set(explained)


@pytest.mark.parametrize("name", ["cost_and_usage", "billing_period", "invoice_detail", "contract_commitment"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_each_data_set_of_1_4_is_well_formed(of_1_4: Path, name: str, ending: str) -> None:
    """Columns, nulls, formats and what one row must hold, with unit prices and pricing categories declared."""
    supported = ("--supports", "SupportsUnitPricing", "--supports", "SupportsMultiplePricingCategories")
    dataset = name.replace("_", "-")
    told = run("focus-toolkit", "validate", "--dataset", dataset, *supported, of_1_4 / f"{name}.{ending}")

    assert "structural+semantic lint OK (STRUCTURAL_VALID, SEMANTIC_VALID)" in told


def test_the_data_sets_of_1_4_fit_each_other(of_1_4: Path, tmp_path: Path) -> None:
    """Keys, periods, issuers, allocation and corrections across the bundle."""
    names = ("cost-and-usage", "billing-period", "invoice-detail", "contract-commitment")
    files = [part for name in names for part in (f"--{name}", of_1_4 / f"{name.replace('-', '_')}.parquet")]
    run("focus-toolkit", "validate-bundle", *files, "--report", tmp_path / "report.json")
    report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))

    assert report["ok"]
    assert set(report["checks_run"]) >= {
        "billing_period_coverage",
        "contract_applied_fk",
        "contract_commitment_periods",
        "correction_references",
        "cost_and_usage_invoice_detail_consistency",
        "cost_and_usage_invoice_detail_fk",
        "split_allocation",
        "unique_contract_commitment_ids",
        "unique_invoice_detail_ids",
    }
    # Invoices are often only a part of what is charged here, so their sums are not held: the build's balance does that.
    assert [each["rule_id"] for each in report["diagnostics"]] == ["FDT-BUNDLE-002"]
