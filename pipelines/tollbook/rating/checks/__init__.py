"""What price tables get wrong, a subject a file. `tollbook.rating.check` runs them all.

`order` looks at one price, `series` at the prices of one model in time, `peers` at the same model elsewhere, `usage` at
what was used and has no price, `exchange` at what was used under contracts without an exchange rate.
"""
