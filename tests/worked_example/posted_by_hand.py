"""What is posted in June, July, August and September by what made it, in dollars, with the arithmetic beside it."""

from __future__ import annotations

from typing import Final

# June: 70 units of atlas at 3.50 less 2 that come late, 33 of sonata at 6, 29 of brise at 2, 9 of nimbus at 0.625;
# July: 57 x 3.50 and 2 late x 3.50, 39 x 6, 38 x 2, 12 x 0.625; August: 70 x 3.50, 33 x 5.50, 29 x 2, 9 x 0.625, and
# of July 39 x -0.50 and 2 x 3 of brume; September: 59 x 3.50 and a late one, 39 x 5.50, 38 x 2, 12 x 0.625.
_USAGE: Final = ("499.625", "524", "476.625", "508")
POSTED: Final = {
    "usage": _USAGE,
    # 2.5 million tokens at 4 a million, until the price is known.
    "estimate": ("0", "10", "-10", "0"),
    # Each drawn dollar cost 0.90: a tenth of 238, of 199.50 and 7, of 245, of 206.50 and 3.50.
    "prepaid_drawdown": ("-23.80", "-20.65", "-24.50", "-21"),
    "prepaid_purchase": ("0", "0", "0", "0"),
    # 250 - 238; 250 - 199.50 less 7 of June; 250 - 245; 250 - 206.50 less 3.50 of August.
    "commitment_shortfall": ("12", "43.50", "5", "40"),
    # 1000 - 245 - 199.50 - 248.50 - 206.50 = 100.50 are left, at 0.90.
    "prepaid_expiry": ("0", "0", "0", "90.45"),
    "untagged_usage": ("3.50", "7", "10.50", "14"),
    "untagged_usage_moved": ("-3.50", "-7", "-10.50", "-14"),
    # 200 EUR at 1.10, and at 1.20 since August; 39 EUR likewise.
    "gateway": ("220", "220", "240", "240"),
    "codebot": ("42.90", "42.90", "46.80", "46.80"),
    "vector-store": ("400", "400", "400", "400"),
    "guardrail": ("100", "100", "100", "100"),
    "evals": ("120", "120", "120", "120"),
    # 4 seats for 15 of 30 days and 6 for the others: 60 + 90.
    "seats": ("150", "180", "180", "180"),
    # Assist takes off all: 12 x 6, 9 x 6, 12 x 5.50 less 9 x -0.50, 9 x 5.50; codebot 300 credits of 0.04: 12.
    "included_usage": ("-84", "-66", "-73.50", "-61.50"),
    # 0.80 for (72 - 40), (54 - 48), (66 - 48) and 4.50 less in July, (49.50 - 48).
    "overage": ("25.60", "4.80", "10.80", "1.20"),
    "maps-suite": ("30", "31", "31", "30"),
    # 10 a day, and 60 + 30 a month.
    "rack": ("390", "400", "400", "390"),
    "rack_internal_rate": ("-5.625", "-7.50", "-5.625", "-7.50"),
    # 250.01 - 250; 7 billed for what turned out to be used; 15 - 15 of the credit note; 5 of goodwill less 3.50.
    "residual": ("0.01", "7", "0", "-1.50"),
}
