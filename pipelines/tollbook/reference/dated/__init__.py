"""Dated entries: reference files of which every entry says when it holds, since when it is known, by whom and why.

`entries` reads a file and says what was known when, `kinds` lists the kinds, `checks` holds what a kind says of itself
and of others, `use` puts files into use, and `recorded` keeps every state that was ever in use in the lake.
"""
