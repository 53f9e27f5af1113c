"""Documents: what is wrong is told with its file, line, field, value and rule, and nothing of it is used."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tollbook.errors import DocumentFault, ReferenceDataError
from tollbook.reference.documents import read_document, read_yaml

OWNERS = """\
rules:
  - rule_id: a
    match: {workflow: w}
    team: t
    valid_from: 2026-01-01T00:00:00Z
"""
CONTRACT = """\
contract: 1
contract_id: c
provider: openai
currency: USD
valid_from: 2026-01-01
known_from: 2026-01-01T00:00:00Z
author: a
terms:
  - term_id: t
    discount: {percent: '5'}
reason: r
"""
OWNER_KEYS = ("rule_id", "match", "team", "cost_center", "business_unit", "valid_from", "valid_to")


def faults(tmp_path: Path, text: str, schema: str | None = "owners") -> list[DocumentFault]:
    """Return what is wrong with a text."""
    path = tmp_path / "d.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReferenceDataError) as caught:
        read_yaml(path) if schema is None else read_document(path, schema)
    return list(caught.value.faults)


def test_a_fault_names_file_line_field_value_and_rule(tmp_path: Path) -> None:
    """Whoever wrote the file must find the place without reading our code."""
    (fault,) = faults(tmp_path, OWNERS.replace("team: t", "team: 5"))
    assert fault == DocumentFault(str(tmp_path / "d.yml"), 4, "rules/0/team", "5", "expected text")
    assert str(fault) == f"{tmp_path}/d.yml:4: rules/0/team: expected text, got 5"


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """One fault a run makes a long evening; they come in the order of the lines."""
    text = OWNERS.replace("team: t", "taem: t").replace("2026-01-01T00:00:00Z", "2026-01-01")
    found = faults(tmp_path, text)
    assert [(fault.line, fault.field, fault.value, fault.rule) for fault in found] == [
        (2, "rules/0", None, "expected the key 'team', got none"),
        (
            4,
            "rules/0/taem",
            "the key 'taem'",
            f"expected one of the keys {', '.join(OWNER_KEYS)} (did you mean 'team'?)",
        ),
        (5, "rules/0/valid_from", "'2026-01-01'", "expected a time with a zone, such as 2026-06-01T00:00:00Z"),
    ]


def test_faults_travel_to_another_process(tmp_path: Path) -> None:
    """Workers raise them too."""
    (tmp_path / "d.yml").write_text("rules: 5")
    with pytest.raises(ReferenceDataError) as caught:
        read_document(tmp_path / "d.yml", "owners")
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # made a line above
    assert (again.message, again.faults) == (caught.value.message, caught.value.faults)


def test_very_many_faults_are_counted_and_the_first_are_listed(tmp_path: Path) -> None:
    """A file with the wrong separator everywhere must not scroll the terminal away."""
    path = tmp_path / "d.yml"
    path.write_text("rules:\n" + "  - {}\n" * 30)
    with pytest.raises(ReferenceDataError) as caught:
        read_document(path, "owners")
    assert len(caught.value.faults) == 120
    assert caught.value.message.count("\n") == 21
    assert caught.value.message.endswith("and 100 more")


def test_a_key_that_stands_twice_is_a_fault_on_its_line(tmp_path: Path) -> None:
    """YAML's own reader would take the last one, silently."""
    (fault,) = faults(tmp_path, OWNERS + "    team: u\n")
    assert (fault.line, fault.rule) == (6, "expected each key once, but the key 'team' stands twice")


@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        ("a: [1, 2\nb: 3\n", 2, "expected YAML"),
        ("a: 1\n\tb: 2\n", 2, "expected YAML"),
        ("a: !!python/object:os.system x\n", 1, "expected no tag of YAML's"),
        ("a: &x [*x]\n", 1, "expected no anchor that holds itself"),
        ("? [a, b]\n: 1\n", 1, "expected a key that is text"),
        ("a: !!int two\n", 1, "expected what its tag says"),
        ("a: 1\n---\nb: 2\n", 2, "expected one YAML document in the file"),
        ("a: 1\nb: *x\n", 2, "expected the anchor 'x' before what repeats it"),
        ("a: &x 1\nb: &x 2\n", 2, "expected each anchor once"),
        ('a: "x\\0y"\n', 1, "expected text without control characters, got '\\x00' in it"),
        ('a: 1\n"b\\x7f": 2\n', 2, "expected text without control characters"),
        ("a: 1\nb: " + "[" * 65 + "]" * 65 + "\n", 2, "expected at most 64 levels"),
        ("a:\n  " + "{b: " * 300_000, 2, "expected at most 64 levels"),
    ],
)
def test_what_is_no_plain_yaml_is_told_with_its_line(tmp_path: Path, text: str, line: int, rule: str) -> None:
    """Whatever stands in the file, the answer is a line and never a traceback."""
    (fault,) = faults(tmp_path, text, None)
    assert fault.line == line
    assert fault.rule.startswith(rule)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "an empty file"), (b"a: \xff", "YAML in UTF-8"), (b"\x00", "YAML")]
)
def test_what_cannot_be_read_at_all_is_told_by_its_file(tmp_path: Path, content: bytes, message: str) -> None:
    """There is no line to name here."""
    path = tmp_path / "d.yml"
    path.write_bytes(content)
    with pytest.raises(ReferenceDataError, match=message):
        read_yaml(path)
    with pytest.raises(ReferenceDataError, match="found nothing"):
        read_yaml(tmp_path / "absent.yml")


def test_scalars_are_what_they_look_like(tmp_path: Path) -> None:
    """YAML 1.1 reads `16:30` as 990, `010` as 8, `no` as false, a date as a date, `1_0` as 10."""
    path = tmp_path / "d.yml"
    path.write_text(
        "[16:30, 010, no, 2026-06-01, 1_0, 08, 5, -7, 2.5, 1e3, true, True, ~, null, '5', 0x1f, !!str 5, 0.5, 00.5]"
    )
    assert read_yaml(path).content == [
        *("16:30", "010", "no", "2026-06-01", "1_0", "08", 5, -7, 2.5, 1000.0, True, "True", None, None, "5", "0x1f"),
        *("5", 0.5, "00.5"),
    ]


def test_anchors_and_merges_are_followed_to_the_line_they_stand_on(tmp_path: Path) -> None:
    """Rates that many entries share are written once; what an entry says itself goes before them."""
    path = tmp_path / "d.yml"
    path.write_text("base: &base\n  a: 1\n  b: 2\nall:\n  - <<: *base\n    b: 3\n  - *base\n")
    document = read_yaml(path)
    assert document.content["all"] == [{"a": 1, "b": 3}, {"a": 1, "b": 2}]
    assert [document.line(("all", 0, key)) for key in ("a", "b", "absent")] == [2, 6, 5]


def test_a_few_hundred_bytes_of_anchors_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    """Nine lists of nine lists of nine: 400 bytes that say 400 million values, each held against the schema."""
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    (fault,) = faults(tmp_path, "\n".join(bomb))
    # By hand: a0 has 10 nodes, a1 91, a2 820, a3 7,381, a4 66,430. Lines to a4 repeat 90 + 819 + 7,380 + 66,429, and
    # each alias of the line of a5 66,430: its first is beyond 100,000.
    assert (fault.line, fault.rule) == (6, "expected anchors to repeat at most 100,000 values")


def test_a_document_may_be_long_without_anchors(tmp_path: Path) -> None:
    """What is written out is bounded by the file; owners come by the thousand."""
    path = tmp_path / "d.yml"
    path.write_text("- [1, 2, 3]\n" * 50_000)
    assert len(read_yaml(path).content) == 50_000


@pytest.mark.parametrize(
    ("schema", "written", "rule"),
    [
        # 9007199254740993 is no float: as one it is 9007199254740992.
        ("committed_use: {fee: '1', included_tokens: 9007199254740993.0}", "9007199254740993.0", "a whole number"),
        ("committed_use: {fee: '1', included_tokens: 1e6}", "1e6", "a whole number"),
        (
            "committed_use: {fee: '1', included_tokens: 10000000000000000000}",
            None,
            "a number of 1000000000000000000 or less",
        ),
        ("committed_use: {fee: '999999999999999999999999999999', included_tokens: 1}", None, "a decimal in quotes"),
        ("committed_use: {fee: '1000000000000000', included_tokens: 1}", None, "a decimal in quotes"),
    ],
)
def test_a_number_that_is_not_what_was_written_or_that_no_book_holds_is_refused(
    tmp_path: Path, schema: str, written: str | None, rule: str
) -> None:
    """A float is rounded before we see it, and a fee beyond decimal(38,12) breaks every build after the load."""
    (fault,) = faults(tmp_path, CONTRACT.replace("discount: {percent: '5'}", schema), "contract")
    assert fault.line == 10
    assert fault.rule.startswith(f"expected {rule}")
    assert written is None or fault.value == written


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("contract_id: c", 'contract_id: "c\\n"', 2),
        ("currency: USD", 'currency: "USD\\n"', 4),
        ("term_id: t", 'term_id: "t\\n"', 9),
    ],
)
def test_a_line_break_behind_a_name_is_not_part_of_it(tmp_path: Path, before: str, after: str, line: int) -> None:
    """The name of a contract becomes that of a file; a pattern's `$` would let the line break through."""
    (fault,) = faults(tmp_path, CONTRACT.replace(before, after), "contract")
    assert fault.line == line


@pytest.mark.parametrize("told", ["9999-12-31T23:59:59-10:00", "0001-01-01T00:00:00+10:00", "2026-W01-1T00:00Z"])
def test_an_instant_that_utc_does_not_have_is_told_with_its_line(tmp_path: Path, told: str) -> None:
    """It is a time of its own zone, so it was taken, and whoever converted it died without a word of the file."""
    (fault,) = faults(tmp_path, CONTRACT.replace("2026-01-01T00:00:00Z", told), "contract")
    assert str(fault).endswith(
        f"d.yml:6: known_from: expected a time with a zone, such as 2026-06-01T00:00:00Z, got '{told}'"
    )


def test_thousands_of_rules_are_read(tmp_path: Path) -> None:
    """Owners come from other systems by the thousand."""
    path = tmp_path / "d.yml"
    body = "\n".join(OWNERS.splitlines()[1:])
    path.write_text("rules:\n" + "\n".join(body.replace(": a", f": r{n}") for n in range(3_000)))
    assert len(read_document(path, "owners").content["rules"]) == 3_000
