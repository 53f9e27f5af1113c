"""One HTML page for those who look: what the book says, from the published file and from nothing else.

`facts` asks the published file, `wording` makes numbers and sentences of the facts, `charts` and `tables` lay them
out, and `page` puts all of it into one file that reaches for nothing outside itself.
"""

from __future__ import annotations
