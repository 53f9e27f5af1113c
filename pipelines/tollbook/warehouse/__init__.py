"""The warehouse: the gate on new files, dbt from the lake to the marts, the balance, and the published file.

`build` is the way through all of it. The private file (`state`) holds the marts and what was taken from the lake;
`keys` finds calls told under several dates; `plan` says which dates a build makes anew; `measures` and `gate` judge
new files; `project` runs dbt; `balance` reads the verdict; `publish` swaps the file that readers open.
"""
