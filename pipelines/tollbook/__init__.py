"""Tollbook: the ledger of an organisation's AI tokens."""
