"""Names of files from names that events chose."""

from __future__ import annotations

import hashlib
import re
from typing import Final

_LONGEST_SLUG: Final = 40
_DIGEST_DIGITS: Final = 10
_OTHERS = re.compile(r"[^a-z0-9]+")


def safe_file_name(name: str) -> str:
    """Return a file name for any name: what is readable of it, and a digest of all of it.

    Only `a-z`, `0-9` and `-` are in it, and it begins and ends with none of `-`, so that it leads to no other folder,
    hides nothing, and means the same where case does not count. Names that differ have file names that differ.
    """
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    slug = _OTHERS.sub("-", name.lower()).strip("-")[:_LONGEST_SLUG].strip("-")
    return f"{slug}-{digest}" if slug else digest
