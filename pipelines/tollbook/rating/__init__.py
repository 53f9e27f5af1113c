"""The only code that turns tokens into money: a catalogue of dated prices, and arithmetic on Arrow columns.

`catalogue` holds the prices in force at every instant, `rate` applies them to a batch of events, `explain` says which
price that was and why, in words. `sources` reads what prices are made of: the price list of genai-prices, overlays of
our own (`overlays`, `compose`), contracts, exchange rates. `book` is all of it under one version, `load` makes it of
a home's files, `store` keeps every one that was used. `reasons` lists why a cost is null. No Beam, so that a test
needs no runner.

Where the figures differ from those of genai-prices, whose catalogue this is built on, it is on purpose:

- A provider, model or service tier that the catalogue does not know leaves the cost null with a reason. genai-prices
  bills an unknown tier at the default tier's full price, and guesses the provider of a model that LiteLLM names alone.
- A unit that was used and has no rate leaves the cost null; genai-prices bills it at zero. So does a price with no
  rates at all, unless the vendor calls the model free (an id that ends in `:free`): then its tokens are.
- A service tier that the catalogue knows only from a later date is `estimated` at its earliest known price;
  genai-prices bills it at the default tier's full price.
- A call that tells nothing of its input, or of its output, while its price charges for that side is `estimated`:
  null is not zero, and what was told is the least it can have cost. genai-prices takes the untold for zero.
- A model found at another provider (Azure selling OpenAI's) has a price for the default tier alone; genai-prices bills
  its batch calls at the default tier's full price.
- Rounding is half-even, once for each bucket, to whole pico-USD; genai-prices does not round.

Where genai-prices bills a token that has no rate of its own at the rate of the wider unit, so do we: an OpenAI cache
write is plain input, and reasoning is output. `units.yml` names the rates in order. Price variants by anything but the
service tier (a route, a kind of search) are not selected: an event does not tell them.
"""
