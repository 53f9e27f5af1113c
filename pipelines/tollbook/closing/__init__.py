"""Closing of billing periods: soft and hard closes, disputes and adjustments, and what refuses a close.

What a close froze lies in the lake and never changes. What is found out later becomes corrections in the first open
period: the warehouse makes them, as the difference between what it would say now and what was frozen.
"""
