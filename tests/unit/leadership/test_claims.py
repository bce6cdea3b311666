from __future__ import annotations

import random

from dkronpy.leadership.claims import LEASE, SPREAD, Claims


def test_an_election_permits_one_claim() -> None:
    claims = Claims(0, random.Random(1))
    assert not claims.due(1, None)
    assert claims.due(1, 7)
    claims.claimed(1, 7)
    assert not claims.due(2, 7)
    assert claims.due(2, 8)


def test_a_lease_that_is_not_renewed_permits_a_claim_whatever_raft_says() -> None:
    claims = Claims(0, random.Random(1))
    assert not claims.due(LEASE, None)
    assert claims.due(LEASE + SPREAD, None)
    claims.saw(LEASE)
    assert not claims.due(2 * LEASE, None)
    claims.claimed(2 * LEASE, None)
    assert not claims.due(3 * LEASE - 0.1, None)


def test_a_claim_that_did_not_reach_the_store_leaves_the_election_its_claim() -> None:
    claims = Claims(0, random.Random(1))
    claims.claimed(1, 7)
    claims.failed()
    assert claims.due(2, 7)
    assert not claims.due(2, None)
    claims.claimed(2, 7)
    assert not claims.due(3, 7)
