"""What a span or a log record tells once it is read, whatever it was written in; and how dialects read it.

A dialect is what one tool means by its attributes. `item` holds what was read, `dialect` what all dialects share,
`places` what an endpoint tells of who bills and where, `sampling` which share of calls a reporter tells.
"""
