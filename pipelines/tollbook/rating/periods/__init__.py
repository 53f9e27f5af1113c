"""The second pass of rating: what needs a billing period's totals becomes charges.

`totals` reads what was used, `volume`, `commitments` and `credits` apply the terms of contracts to it, `assess` runs
them in order, and `charges` keeps the outcome in the lake. The sum of the first pass's contracted cost and of the
charges of a billing period is what the contract makes payable for it.
"""
