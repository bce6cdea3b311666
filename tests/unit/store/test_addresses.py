"""How the limit of a call is shared among the machines that may be asked."""

from __future__ import annotations

from dkronpy.store.addresses import until_usable


def test_the_only_machine_has_all_the_time() -> None:
    assert until_usable(2.0, 1) == 2.0
    assert until_usable(2.0, 2) == until_usable(2.0, 3) == 1.0
