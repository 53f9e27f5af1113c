"""A printed document as one HTML page: no script, nothing fetched, light and dark, and made for paper."""

from __future__ import annotations

from html import escape
from typing import Final

from tollbook.exports.printed import Document, Table

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d8dee6; --band: #f5f7fa; --page: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaf0; --soft: #9aa5b4; --line: #343d4a; --band: #1d242e; --page: #12171e; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 2rem 1.5rem 3rem; background: var(--page); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere; }
header p, footer { color: var(--soft); }
h2 { margin: 2rem 0 .5rem; font-size: 1rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .45rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; border-bottom-width: 2px; }
td { overflow-wrap: break-word; max-width: 16rem; }
th.n, td.n { text-align: right; }
td.n { white-space: nowrap; max-width: none; }
.wide:focus-visible { outline: 2px solid var(--soft); outline-offset: 2px; }
tbody tr:nth-child(even) { background: var(--band); }
tfoot td { font-weight: 700; border-top: 2px solid var(--ink); border-bottom: 0; }
footer { margin-top: 1.5rem; font-size: .85rem; }
@page { size: A4 landscape; margin: 14mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --line: #bbb; --band: #fff; --page: #fff; }
  body { max-width: none; padding: 0; font-size: 8pt; }
  th, td { padding: .2rem .35rem; }
  td { max-width: 9rem; }
  .wide { overflow: visible; }
  section + section { break-before: page; }
  thead { display: table-header-group; }
  tfoot { display: table-row-group; }
  tr, footer { break-inside: avoid; }
  h2 { break-after: avoid; }
}
""".strip()
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def html_bytes(document: Document) -> bytes:
    """Return a document as HTML. Every text is escaped: a name that looks like markup is shown as it is."""
    title = escape(document.title)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>\n{_STYLE}\n</style>",
        "</head>",
        "<body>",
        f"<header><h1>{title}</h1><p>{escape(document.subtitle)}</p></header>",
        *(_section(table) for table in document.tables),
        f"<footer>{''.join(f'<p>{escape(note)}</p>' for note in document.notes)}</footer>",
        "</body>",
        "</html>",
    ]
    return ("\n".join(parts) + "\n").encode("utf-8", "replace")


def _section(table: Table) -> str:
    marks = [' class="n"' if column.is_number else "" for column in table.columns]
    head = "".join(
        f'<th scope="col"{mark}>{escape(column.heading)}</th>'
        for mark, column in zip(marks, table.columns, strict=True)
    )
    body = "\n".join(_line(marks, row) for row in table.rows)
    name = f"Amounts in {escape(table.currency)}"
    return (
        f"<section><h2>{name}</h2>\n"
        f'<div class="wide" tabindex="0" role="region" aria-label="{name}"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        f"<tfoot>{_line(marks, table.total)}</tfoot>\n</table></div></section>"
    )


def _line(marks: list[str], cells: tuple[str, ...]) -> str:
    return f"<tr>{''.join(f'<td{mark}>{_breakable(cell)}</td>' for mark, cell in zip(marks, cells, strict=True))}</tr>"


def _breakable(cell: str) -> str:
    """Return a text whose words joined by underscores can stand on several lines, as those joined by hyphens do."""
    return escape(cell).replace("_", "_<wbr>")
