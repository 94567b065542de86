"""A file to have: where it is, where it goes, and how to know it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from syntype.errors import UsageError

_DIGEST = re.compile(r"(md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64})?")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file to have.

    Attributes:
        url: Where it is; http or https.
        path: Where it goes, relative to the folder of its set, with / between folders.
        size: Its bytes, as published; None if not known.
        digest: Its hash as published, `md5:...`, `sha1:...` or `sha256:...`; "" if not known.
        kind: What the server must say that it is, the beginning of its Content-Type; "" for
            anything. A page that says "log in" is no picture.
        headers: Sent with the request, to the host of `url` alone: credentials.

    Raises:
        UsageError: The path leads out of its folder, or the address or the hash is none.
    """

    url: str
    path: str
    size: int | None = None
    digest: str = ""
    kind: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check all that a broken or evil list of files could say."""
        parts = self.path.split("/")
        if not all(parts) or ".." in parts or "." in parts or "\\" in self.path:
            raise UsageError(f"{self.path!r} leads out of its folder: {self.url} is not fetched.")
        address = urlsplit(self.url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UsageError(f"{self.url!r} is no web address (http:// or https://).")
        if not _DIGEST.fullmatch(self.digest):
            raise UsageError(
                f"{self.digest!r}, given for {self.url}, is no hash: write md5:, sha1: or sha256: "
                "and its hexadecimal digits."
            )

    @property
    def host(self) -> str:
        """Who is asked, with the port where one is named."""
        return urlsplit(self.url).netloc.rpartition("@")[2].lower()
