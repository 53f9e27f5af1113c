"""Charges that no call bears by itself, and who bears them: platforms, seats, fleets, contracts and untagged usage.

`origins` are what is charged as a whole; `allocate` splits each of them by a stated method into lines of teams and
workflows, exactly. `statement_lines` are what teams see of all charges, by the arithmetic of `rounding`, and `journal`
posts them to `accounts`. Nothing here prices usage: that is done by `tollbook.rating`. No Beam.
"""
