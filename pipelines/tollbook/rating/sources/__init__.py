"""Where prices, contracts, exchange rates and policies come from: each source a file, read and checked."""
