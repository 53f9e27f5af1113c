"""Files that finance takes away: a statement for each team, and the journal that posts them.

`lines` reads a billing period from the published file, rounded as `tollbook.chargeback` says; `statements`, `journal`
and `focus` make the files. `rendering` has all formats of a statement:
`tables` what programs read, `people` what people do (`workbook`, and `html` and `pdf` of what is `printed`).
`file_names` and `cells` keep names and texts harmless, `folder` puts all files of an export into place at once, and
`due` says what is late.
"""
