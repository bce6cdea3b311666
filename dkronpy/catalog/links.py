"""Signed links in the store: made, used, revoked."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from dkronpy.catalog.jobs import JobError, JobNotFound
from dkronpy.catalog.keys import Keys, encode
from dkronpy.catalog.mirror import Held, Mirror
from dkronpy.catalog.requests import Requests
from dkronpy.catalog.writing import commit
from dkronpy.model.execution import Trigger
from dkronpy.model.job import Job
from dkronpy.model.link import Link, LinkSecret, LinkSpec, is_signed, signature
from dkronpy.model.parameter_spec import given
from dkronpy.model.records import TriggerRecord
from dkronpy.store.contract import Delete, Guard, Operation, Put, Store

MAX_LINKS: Final = 100
"""Links of one job that have not expired."""
_SWEPT: Final = 20
"""Expired links of the job that go when one is made."""


class LinkNotFound(JobError):
    """No such link, or its signature is wrong: which of both is not told."""

    def __init__(self) -> None:
        super().__init__("", "there is no such link: it is mistyped, or was revoked")


class LinkOver(JobError):
    """The link has expired, or has been used."""


class Links:
    """Guarded writes of one keyspace. `now` gives ns since the epoch. Store errors pass through."""

    def __init__(self, store: Store, mirror: Mirror, keys: Keys, requests: Requests, now: Callable[[], int]) -> None:
        self._store = store
        self._mirror = mirror
        self._keys = keys
        self._requests = requests
        self._now = now

    def of(self, job: str) -> dict[str, Held[Link]]:
        """The job's links by id, but for those of an earlier job of its name."""
        held = self._mirror.jobs.get(job)
        found = self._mirror.links.get(job, {})
        return (
            {} if held is None else {id: link for id, link in found.items() if link.value.since >= held.value.created}
        )

    async def create(self, job: str, spec: LinkSpec, *, by: str) -> tuple[str, Link, str]:
        """Make a link; returns its id, its record and its token, which nobody can see again.

        Raises JobNotFound, SpecError for parameters that are wrong, JobError where there are too many."""
        while True:
            held = self._mirror.jobs.get(job)
            if held is None:
                raise JobNotFound(job)
            env = given(held.value.parameters, spec.parameters, spec.env)
            secret = await self._secret()
            now = max(self._now(), held.value.since)
            old = [id for id, link in self._mirror.links.get(job, {}).items() if link.value.expires <= now][:_SWEPT]
            if len(self.of(job)) - len(old) >= MAX_LINKS:
                raise JobError("", f"the job has {MAX_LINKS} links already: revoke some")
            id = secrets.token_hex(8)
            link = Link(now, now + spec.valid_for, spec.once, by, spec.type, spec.description, env)
            key = self._keys.link(job, id)
            guards = [Guard(self._keys.job(job), held.revision), Guard(key, 0)]
            operations: list[Operation] = [Put(key, encode(link))]
            operations += [Delete(self._keys.link(job, other)) for other in old]
            if await commit(self._store, self._mirror, guards, operations) is not None:
                return id, link, f"{id}.{signature(secret, job, id, link)}"

    async def revoke(self, job: str, id: str) -> Link | None:
        """End a link; returns it as it was, None where there is none."""
        while (held := self.of(job).get(id)) is not None:
            key = self._keys.link(job, id)
            if await commit(self._store, self._mirror, [Guard(key, held.revision)], [Delete(key)]) is not None:
                return held.value
        return None

    def check(self, job: str, token: str) -> Link:
        """The link that a token is for, if it can be used now. Raises LinkNotFound and LinkOver."""
        return self._checked(job, token)[1].value

    async def use(self, job: str, token: str) -> int:
        """Run the link's job; returns the group. The use is counted in the commit that asks for the run, so a link for
        one use makes one run, whoever repeats it wherever.

        Raises LinkNotFound, LinkOver, and what a request raises."""
        while True:
            id, held = self._checked(job, token)
            link, key = held.value, self._keys.link(job, id)
            used = msgspec.structs.replace(link, used=self._now(), uses=link.uses + 1)
            group = await self._requests.ask(
                job,
                functools.partial(_request, id, link),
                guards=[Guard(key, held.revision)],
                beside=[Put(key, encode(used))],
            )
            if group is not None:
                return group

    def _checked(self, job: str, token: str) -> tuple[str, Held[Link]]:
        id, _, signed = token.partition(".")
        held, secret = self.of(job).get(id), self._mirror.link_secret
        if held is None or secret is None or not is_signed(secret.value, job, id, held.value, signed):
            raise LinkNotFound
        if (fault := held.value.fault(self._now())) is not None:
            raise LinkOver("", fault)
        return id, held

    async def _secret(self) -> LinkSecret:
        while (held := self._mirror.link_secret) is None:
            new, key = LinkSecret(secrets.token_hex(32), self._now()), self._keys.link_secret
            await commit(self._store, self._mirror, [Guard(key, 0)], [Put(key, encode(new))])
        return held.value


def _request(id: str, link: Link, job: Job, now: int) -> TriggerRecord:
    """What a use of a link asks for."""
    env = given(job.parameters, {}, link.env)
    return TriggerRecord(now, Trigger.LINK, id, env, now, link.type, link.description)
