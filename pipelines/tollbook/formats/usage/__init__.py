"""A provider's own usage object made into our disjoint counts: the one place, driven by `schemas/usage_fields.yml`.

`table` is that file compiled; `one` reads one object, `columns` many at once as Arrow columns. An adapter recognises
the flavour of its bodies (`UsageTable.recognise`), reads them on either path and goes on with the fields of an event.
"""

from tollbook.formats.usage.columns import FurtherColumns, UsageColumns, normalise_columns, read_bodies
from tollbook.formats.usage.one import FurtherCall, Usage, normalise, read_body
from tollbook.formats.usage.table import Flavour, UsageTable, load_table
from tollbook.formats.usage.texts import normalise_texts, usage_columns

__all__ = [
    "Flavour",
    "FurtherCall",
    "FurtherColumns",
    "Usage",
    "UsageColumns",
    "UsageTable",
    "load_table",
    "normalise",
    "normalise_columns",
    "normalise_texts",
    "read_bodies",
    "read_body",
    "usage_columns",
]
