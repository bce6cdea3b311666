"""Signed links: each lets whoever has it run one job, without a token, until it expires or is revoked."""

from __future__ import annotations

import base64
import hmac
from typing import Final, Self

import msgspec
from pydantic import model_validator

from dkronpy.model.duration import SECOND, parse_duration
from dkronpy.model.fields import Duration
from dkronpy.model.trigger_spec import TriggerSpec

DEFAULT_VALID: Final = parse_duration("7d")
SIGNATURE: Final = 20
"""Bytes of a signature: 160 bits of HMAC-SHA256."""


class LinkSecret(msgspec.Struct, frozen=True, gc=False):
    """What all links of a cluster are signed with; made with the first. `key` is hex of 32 random bytes, `since` in
    ns."""

    key: str
    since: int


class Link(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A link's record; its key holds the job and the link's id. Times in ns. What the run gets is fixed here."""

    since: int
    expires: int
    once: bool = False
    by: str = ""
    type: str = ""
    description: str = ""
    env: dict[str, str] = {}
    used: int = 0
    """When it was last used; 0: never."""
    uses: int = 0

    def fault(self, now: int) -> str | None:
        """Why it can't be used any more, in words; None if it can."""
        if now >= self.expires:
            return "the link has expired"
        return "the link is for one use, and has been used" if self.once and self.uses else None


class LinkSpec(TriggerSpec):
    """A link as its user asks for it; its run is now whenever it is used, so `at` is refused."""

    valid_for: Duration = DEFAULT_VALID
    once: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.at is not None:
            raise ValueError("at can't be given: a link's run begins when the link is used")
        if self.valid_for < SECOND:
            raise ValueError("valid_for must be at least 1s")
        return self


def signature(secret: LinkSecret, job: str, id: str, link: Link) -> str:
    """What makes a link that job's, that id's and that long valid, as text for a URL."""
    told = msgspec.json.encode(["dkron link", job, id, link.since, link.expires, link.once])
    digest = hmac.digest(bytes.fromhex(secret.key), told, "sha256")
    return base64.urlsafe_b64encode(digest[:SIGNATURE]).rstrip(b"=").decode()


def is_signed(secret: LinkSecret, job: str, id: str, link: Link, signed: str) -> bool:
    """Whether the text is the link's signature, without telling by time how much of it is right."""
    return hmac.compare_digest(signature(secret, job, id, link).encode(), signed.encode("utf-8", "surrogateescape"))
