"""Why a bill is what it is: pure arithmetic on tables of costs, tokens, calls and tasks."""
