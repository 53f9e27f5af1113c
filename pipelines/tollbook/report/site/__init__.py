"""The report site: pages that say why the bill is what it is, each one file that holds the book's sums and adds them.

`questions` asks the published file, `embedded` makes the data that a page holds, `words` has what people read,
`contents` says what is on each page, and `pages` puts them together. The scripts beside them filter and add in the
browser, in whole pico-units and without a float; a float only says where a mark is drawn, and what a ratio is.
"""

from __future__ import annotations
