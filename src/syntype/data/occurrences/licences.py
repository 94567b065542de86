"""Licences in one short form, that of SPDX: CC-BY-4.0, CC0-1.0.

    http://creativecommons.org/licenses/by-nc/4.0/legalcode    CC-BY-NC-4.0
    https://creativecommons.org/licenses/by/3.0/us/            CC-BY-3.0-US
    CC_BY_NC_4_0 (the words of GBIF)                           CC-BY-NC-4.0
    CC BY-SA 4.0, cc-by-sa 4.0                                 CC-BY-SA-4.0
    http://creativecommons.org/publicdomain/zero/1.0/          CC0-1.0
    All Rights Reserved, (c) all rights reserved               All rights reserved

What has no such form stays as it was delivered: a text that nobody understands is still the terms.
"""

import re

RESERVED = "All rights reserved"

_ADDRESS = re.compile(
    r"creativecommons\.org/licen[sc]es/(by(?:-nc)?(?:-nd|-sa)?)(?:/(\d\.\d))?(?:/([a-z]{2})\b)?"
)
_ZERO = re.compile(r"creativecommons\.org/(?:publicdomain|licen[sc]es)/(?:zero|cc0)\b")
_MARK = re.compile(r"creativecommons\.org/(?:publicdomain|licen[sc]es)/(?:mark|publicdomain)\b")
_SPDX = re.compile(r"spdx\.org/licenses/([a-z0-9.\-]+?)(?:\.html|\.json)?$")
_WORDS = re.compile(
    r"cc[\s_-]*by(?:[\s_-]*(nc))?(?:[\s_-]*(nd|sa))?(?:[\s_-]*v?(\d)[._](\d))?"
    r"(?:[\s_]*(?:international|unported|deed|\(.*\)|licen[sc]e))*"
)
_ZERO_WORDS = re.compile(r"cc[\s_-]*(?:0|zero)(?:[\s_-]*v?1[._]0)?(?:[\s_]*(?:universal|\(.*\)))*")


def short_licence(text: str) -> str:
    """The short form of a licence; as delivered, without space at the ends, if it has none."""
    text = text.strip()
    lower = text.lower().rstrip("/. ")
    if not lower:
        return ""
    if match := _ADDRESS.search(lower):
        parts = ["cc", match[1], match[2] or "", match[3] or ""]
        return "-".join(part for part in parts if part).upper()
    if _ZERO.search(lower) or _ZERO_WORDS.fullmatch(lower):
        return "CC0-1.0"
    if _MARK.search(lower):
        return "Public domain"
    if match := _SPDX.search(lower):
        return short_licence(match[1]) if match[1].startswith("cc") else match[1]
    if match := _WORDS.fullmatch(lower):
        version = f"{match[3]}.{match[4]}" if match[3] else ""
        parts = ["cc", "by", match[1] or "", match[2] or "", version]
        return "-".join(part for part in parts if part).upper()
    if lower in {"public domain", "public_domain", "publicdomain", "pdm", "public domain mark 1.0"}:
        return "Public domain"
    if re.fullmatch(r"(©|\(c\)|copyright)?[\s:,]*all[\s_-]rights[\s_-]reserved", lower):
        return RESERVED
    return text
