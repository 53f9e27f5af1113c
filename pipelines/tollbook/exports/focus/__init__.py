"""The FinOps Open Cost and Usage Specification: a billing period in the columns that FinOps tools read.

`columns` has the data sets of each version, `charges` makes Cost and Usage of charges, `services` names what they are
for, `quantities` has quantities and unit prices, `invoices` Invoice Detail, `commitments` Contract Commitment, and
`export` writes all of it.
"""
