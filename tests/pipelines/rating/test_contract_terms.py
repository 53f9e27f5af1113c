"""What a contract covers: what a term reaches unless told otherwise."""

from __future__ import annotations

from tollbook.rating.contract_terms import DEFAULT_PRICE, Reach


def test_negotiated_rates_cover_the_plain_price_unless_told_otherwise() -> None:
    """A rate for short requests in one place must not undercut what long ones, batches or regions cost."""
    assert DEFAULT_PRICE.covers_price("m", "default", None, None)
    assert not DEFAULT_PRICE.covers_price("m", "default", 200_000, None)
    assert not DEFAULT_PRICE.covers_price("m", "batch", None, None)
    assert not DEFAULT_PRICE.covers_price("m", "default", None, "eu")
    everything = Reach()
    assert everything.covers_price("m", "batch", 200_000, "eu")
    europe = Reach(regions=("eu*",))
    assert [europe.covers_price("m", "default", None, region) for region in (None, "eu-west-1", "us")] == [
        False,
        True,
        False,
    ]
