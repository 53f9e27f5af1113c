"""The only code that turns tokens into money: a catalogue of dated prices, and arithmetic on Arrow columns.

`catalogue` holds the prices in force at every instant, `rate` applies them to a batch of events, `explain`
says which price that was. No Beam, so that a test needs no runner.

Where the figures differ from those of genai-prices, whose catalogue this is built on, it is on purpose:

- A provider, model or service tier that the catalogue does not know, a unit that was used and has no rate,
  and a price that is not in force leave the cost null with a reason. genai-prices bills the first at full
  price or not at all, and the second at zero.
- A price with no rates at all is unpriced, unless the vendor calls the model free (an id that ends in
  `:free`).
- A service tier that the catalogue knows only from a later date is `estimated` at its earliest known price;
  genai-prices bills it at the full price of the default tier.
- A model found at another provider (Azure selling OpenAI's) has a price for the default tier alone;
  genai-prices bills its batch calls at full price.

Where genai-prices bills a token that has no rate of its own at the rate of the wider unit, so do we: an
OpenAI cache write is plain input, and reasoning is output. `units.yml` names the rates in order.
"""
