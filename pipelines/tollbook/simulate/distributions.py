"""How published traces are distributed: values at `randomness.QUANTILE_POINTS`, the last one at 99.9 %.

Facts computed on 2026-11-24 from these traces; no line of them is copied.

- Sessions: callanjfox/kv-cache-tester, `traces/`, 29,336 calls of 451 Claude Code sessions (Apache-2.0).
- Chat: Azure/AzurePublicDataset, `AzureLLMInferenceTrace_conv.csv`, 19,366 requests (CC-BY-4.0).
- Conversation: kvcache-ai/Mooncake, `conversation_trace.jsonl`, 8,940 requests of Kimi (Apache-2.0).
"""

from __future__ import annotations

Quantiles = tuple[int, ...]

SESSION_CALLS: Quantiles = (3, 3, 4, 6, 15, 36, 75, 160, 234, 330, 439)
"""Calls of the main agent in one session."""

SESSION_FIRST_INPUT: Quantiles = (
    8_979,
    10_261,
    13_048,
    15_422,
    19_083,
    65_106,
    120_651,
    284_575,
    423_929,
    790_759,
    851_858,
)
"""Input of the first call of a session. Unit: Tokens."""

SESSION_GROWTH: Quantiles = (10, 131, 167, 225, 381, 726, 1_626, 3_483, 6_035, 15_710, 72_577)
"""By how much the prompt grows from one call of a session to the next. Unit: Tokens."""

SESSION_OUTPUT: Quantiles = (1, 59, 93, 110, 145, 239, 466, 916, 1_545, 3_590, 6_766)
"""Output of one call of a session. Unit: Tokens."""

SESSION_GAP_MS: Quantiles = (
    1_000,
    6_000,
    8_000,
    9_000,
    12_000,
    19_000,
    40_000,
    131_000,
    316_000,
    2_754_000,
    39_538_000,
)
"""Time from one call of an agent to its next. Unit: Milliseconds."""

MICROSECONDS_PER_OUTPUT_TOKEN: Quantiles = (
    4_826,
    9_856,
    14_075,
    16_589,
    21_311,
    27_146,
    35_600,
    45_492,
    53_620,
    79_766,
    189_250,
)
"""Time of a call of a session for each token of its output. Unit: Microseconds."""

SUBAGENT_CALLS: Quantiles = (2, 2, 4, 5, 7, 11, 13, 17, 22, 24, 24)
"""Calls of one sub-agent of a session."""

SUBAGENT_FIRST_INPUT: Quantiles = (
    8_868,
    8_868,
    9_018,
    9_096,
    9_838,
    10_335,
    11_703,
    12_277,
    13_368,
    18_259,
    18_259,
)
"""Input of the first call of a sub-agent. Unit: Tokens."""

SUBAGENT_GROWTH: Quantiles = (159, 190, 345, 489, 926, 2_531, 5_751, 13_287, 22_324, 63_315, 120_121)
"""By how much a sub-agent's prompt grows from call to call. Unit: Tokens."""

SUBAGENT_OUTPUT: Quantiles = (62, 83, 111, 131, 176, 235, 306, 529, 2_984, 4_765, 9_829)
"""Output of one call of a sub-agent. Unit: Tokens."""

CHAT_INPUT: Quantiles = (2, 29, 181, 207, 396, 1_020, 1_189, 2_735, 4_083, 4_142, 6_212)
"""Input of a chat request. Unit: Tokens."""

CHAT_OUTPUT: Quantiles = (7, 16, 41, 54, 85, 129, 395, 424, 451, 601, 954)
"""Output of a chat request. Unit: Tokens."""

CONVERSATION_INPUT: Quantiles = (
    891,
    894,
    901,
    973,
    2_367,
    7_112,
    15_551,
    27_540,
    39_939,
    87_278,
    121_301,
)
"""Input of a request in a long conversation. Unit: Tokens."""

CONVERSATION_OUTPUT: Quantiles = (1, 3, 10, 24, 158, 355, 475, 605, 713, 1_185, 2_000)
"""Output of a request in a long conversation. Unit: Tokens."""
