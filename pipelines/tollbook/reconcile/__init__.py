"""Reconciliation, three ways: events against the vendor's own report against the invoice, and a name for what differs.

`reports` reads what vendors export into one shape, `store` keeps it in the lake, `days` and `invoiced` compare, and
`booking` charges what an invoice says beyond the events. No Beam; nothing here prices usage.
"""
