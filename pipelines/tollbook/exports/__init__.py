"""Files that finance takes away: a statement for each team, and the journal that posts them.

`lines` reads a billing period from the published file and rounds it, `rounding` is that arithmetic, `accounts` finds
the accounts of a line, `statements` and `journal` make the files, `tables` and `workbook` their formats, `file_names`
and `cells` keep names and texts harmless, and `folder` puts all files of an export into place at once.
"""
