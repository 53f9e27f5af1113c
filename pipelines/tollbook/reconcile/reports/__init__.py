"""What vendors export of usage and cost, an adapter a format: bytes to `vendor_usage/v1`, whole or not at all."""
