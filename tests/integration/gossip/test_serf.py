"""Our nodes and real serf agents in one cluster."""

from __future__ import annotations

import asyncio
import base64
import re
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import msgspec
import pytest

from dkronpy.gossip.profile import LOCAL
from dkronpy.model.member import MemberStatus
from tests.support.serf import OurNode, SerfAgent, eventually, our_node, serf_agent, serf_options

KEY = base64.b64encode(bytes(range(16))).decode()
OTHER_KEY = base64.b64encode(bytes(range(32))).decode()
KEYS = [pytest.param(None, id="plain"), pytest.param(KEY, id="encrypted")]


def raw(key: str | None) -> bytes | None:
    return None if key is None else base64.b64decode(key)


@pytest.mark.parametrize("key", KEYS)
async def test_serf_joins_ours_and_both_see_what_happens(tmp_path: Path, key: str | None) -> None:
    """Tags of both sides, changed while they run; serf's tools against ours; leaving in order."""
    with serf_agent(tmp_path, "theirs", *serf_options(key), "-tag=role=theirs") as serf:
        async with our_node(tmp_path, "ours", key=raw(key)) as ours:
            await serf.cli("join", str(ours.address))
            await serf.sees("ours", "alive")
            await ours.sees("theirs", MemberStatus.ALIVE)
            assert (await serf.members())["ours"] == ("alive", {"role": "ours"})
            theirs = ours.members()["theirs"]
            assert theirs.tags == {"role": "theirs"}
            assert (theirs.addr, theirs.port) == serf.address
            assert (theirs.protocol_max, theirs.delegate_cur) == (5, 5)
            assert ours.changes[-1] == 2

            ours.gossip.set_tags({"role": "changed", "more": "x"})
            await serf.cli("tags", "-set=colour=red")
            await eventually(
                lambda: _tags(serf, "ours", {"role": "changed", "more": "x"}), "serf doesn't see our new tags"
            )
            await eventually(
                lambda: _member_has(ours, "theirs", {"role": "theirs", "colour": "red"}), "ours doesn't see serf's tags"
            )

            assert "Successfully contacted all live nodes" in await serf.cli("reachability")
            await eventually(lambda: _estimated(serf), "serf has no coordinate of ours")

            await ours.gossip.leave()
            await serf.sees("ours", "left", 5)
            assert ours.members()["ours"].status is MemberStatus.LEFT


@pytest.mark.parametrize("key", KEYS)
async def test_ours_joins_serf_which_leaves(tmp_path: Path, key: str | None) -> None:
    with serf_agent(tmp_path, "theirs", *serf_options(key)) as serf:
        async with our_node(tmp_path, "ours", key=raw(key)) as ours:
            assert await ours.gossip.join([serf.address]) == 1
            await ours.sees("theirs", MemberStatus.ALIVE)
            await serf.sees("ours", "alive")
            await serf.cli("leave")
            await ours.sees("theirs", MemberStatus.LEFT)


@pytest.mark.parametrize("key", KEYS)
async def test_who_is_killed_fails_and_may_come_back(tmp_path: Path, key: str | None) -> None:
    with ExitStack() as agents:
        first = agents.enter_context(serf_agent(tmp_path, "first", *serf_options(key)))
        second = agents.enter_context(serf_agent(tmp_path, "second", *serf_options(key)))
        async with our_node(tmp_path, "ours", key=raw(key)) as ours:
            assert await ours.gossip.join([first.address, second.address]) == 2
            async with our_node(tmp_path, "victim", key=raw(key)) as victim:
                assert await victim.gossip.join([ours.address]) == 1
                for agent in (first, second):
                    await agent.sees("victim", "alive")
                remembered = tmp_path / "victim" / "members.json"
                await eventually(lambda: _holds(remembered, "first"), "the victim doesn't remember whom it knows")
                address = victim.address
                second.process.kill()
                await victim.vanish()
            for name in ("second", "victim"):
                await ours.sees(name, MemberStatus.FAILED)
                await first.sees(name, "failed")
            async with our_node(tmp_path, "victim", address=address, key=raw(key)) as victim:
                await victim.sees("first", MemberStatus.ALIVE)  # it remembers whom it knew
                await first.sees("victim", "alive")
                await ours.sees("victim", MemberStatus.ALIVE)


async def test_queries_and_events_cross(tmp_path: Path) -> None:
    """Two agents and three of ours: acknowledgements and answers, also by relays, of all five."""
    async with AsyncExitStack() as nodes:
        first = nodes.enter_context(serf_agent(tmp_path, "serf1", "-event-handler=query:load=echo $SERF_SELF_NAME"))
        second = nodes.enter_context(serf_agent(tmp_path, "serf2"))
        ours = [await nodes.enter_async_context(our_node(tmp_path, f"ours{number}")) for number in range(3)]
        await first.cli("join", str(second.address))
        for node in ours:
            assert await node.gossip.join([first.address]) == 1
        for node in ours:
            for name in ("serf1", "serf2", "ours0", "ours1", "ours2"):
                await node.sees(name, MemberStatus.ALIVE)
        names = {"serf1", "serf2", "ours0", "ours1", "ours2"}
        for name in names:
            await first.sees(name, "alive")

        ours_only = {"ours0", "ours1", "ours2"}
        await _asked(first, names, "-relay-factor=2", "unknown", "payload")
        await _asked(first, {"ours1", "serf2"}, "-node=ours1", "-node=serf2", "unknown")
        await _asked(first, ours_only, "-tag=role=^our", "unknown")

        async def answered() -> bool:
            result = await ours[0].gossip.query("load", ack=True, relays=2)
            return set(result.acks) == names and result.answers == {"serf1": b"serf1\n"}

        async def filtered() -> bool:
            result = await ours[0].gossip.query("load", tags={"role": "^$"}, ack=True)
            assert set(result.acks) <= {"serf1", "serf2"}
            return set(result.acks) == {"serf1", "serf2"}

        await eventually(answered, "not all answer ours")
        await eventually(filtered, "not all whom the filter leaves answer ours")

        await second.cli("event", "deploy", "v1")
        ours[1].gossip.event("built", b"v2")

        async def all_heard() -> bool:
            return all(sorted(node.events) == [("built", b"v2"), ("deploy", b"v1")] for node in ours)

        await eventually(all_heard, "not all have heard both events")
        await eventually(lambda: _logged(first, "user-event: built"), "serf has not heard our event")


async def test_keys_are_changed_from_both_sides(tmp_path: Path) -> None:
    """A new key is installed, used, and the old one removed; afterwards gossip goes on, and ours remembers the keys."""
    with serf_agent(tmp_path, "theirs", *serf_options(KEY)) as serf:
        async with our_node(tmp_path, "ours", key=raw(KEY)) as ours:
            assert await ours.gossip.join([serf.address]) == 1
            await serf.sees("ours", "alive")
            assert re.search(rf"{KEY}\s+\[2/2\]", await serf.cli("keys", "-list"))

            assert (await ours.gossip.install_key(base64.b64decode(OTHER_KEY))).complete
            report = await ours.gossip.list_keys()
            assert report.keys == {KEY: 2, OTHER_KEY: 2}
            assert report.primary == {KEY: 2}
            await serf.cli("keys", f"-use={OTHER_KEY}")
            refused = await ours.gossip.remove_key(base64.b64decode(OTHER_KEY))
            assert set(refused.errors) == {"ours", "theirs"}
            await serf.cli("keys", f"-remove={KEY}")
            report = await ours.gossip.list_keys()
            assert report.keys == report.primary == {OTHER_KEY: 2}
            assert report.complete
            assert (await ours.gossip.use_key(bytes(16))).errors["ours"].startswith("the key is not in the keyring")
            assert "Successfully contacted all live nodes" in await serf.cli("reachability")

            async def kept() -> bool:
                file = tmp_path / "ours" / "keyring.json"
                return file.exists() and msgspec.json.decode(file.read_bytes())["keys"] == [OTHER_KEY]

            await eventually(kept, "the keyring is not written down")
            await ours.vanish()
            async with our_node(tmp_path, "ours", address=ours.address, key=raw(KEY)) as again:
                await again.sees("theirs", MemberStatus.ALIVE)
                await again.vanish()


async def test_tags_may_fill_what_gossip_carries(tmp_path: Path) -> None:
    tags = {"role": "ours", "long": "x" * 492}
    with serf_agent(tmp_path, "theirs", f"-tag=other={'y' * 501}") as serf:
        async with our_node(tmp_path, "ours", tags=tags) as ours:
            assert await ours.gossip.join([serf.address]) == 1
            await serf.sees("ours", "alive")
            assert (await serf.members())["ours"][1] == tags
            assert ours.members()["theirs"].tags == {"other": "y" * 501}


@pytest.mark.parametrize("version", [2, 3, 4, 5])
async def test_every_protocol_of_serf_is_understood(tmp_path: Path, version: int) -> None:
    """Protocol 2 has a role in the place of tags."""
    with serf_agent(tmp_path, "theirs", f"-protocol={version}", "-tag=role=theirs") as serf:
        async with our_node(tmp_path, "ours") as ours:
            await serf.cli("join", str(ours.address))
            await serf.sees("ours", "alive")
            await ours.sees("theirs", MemberStatus.ALIVE)
            theirs = ours.members()["theirs"]
            assert theirs.tags == {"role": "theirs"}
            assert (theirs.delegate_min, theirs.delegate_max, theirs.delegate_cur) == (2, 5, version)
            assert (await serf.members())["ours"][1] == {"role": "ours"}


async def test_what_ours_compresses_serf_understands(tmp_path: Path) -> None:
    profile = msgspec.structs.replace(LOCAL, compress=True)
    tags = {"role": "ours", "same": "z" * 400}
    with serf_agent(tmp_path, "theirs") as serf:
        async with our_node(tmp_path, "ours", profile=profile, tags=tags) as ours:
            assert await ours.gossip.join([serf.address]) == 1
            await serf.sees("ours", "alive")
            await serf.cli("join", str(ours.address))
            assert (await serf.members())["ours"][1] == tags
            ours.gossip.set_tags({"role": "ours", "same": "w" * 400})
            await eventually(lambda: _tags(serf, "ours", {"role": "ours", "same": "w" * 400}), "serf misses news")


async def test_of_two_nodes_with_one_name_the_newer_stops(tmp_path: Path) -> None:
    async with AsyncExitStack() as nodes:
        serf = nodes.enter_context(serf_agent(tmp_path, "serf"))
        ours = [await nodes.enter_async_context(our_node(tmp_path, f"ours{number}")) for number in range(2)]
        for node in ours:
            assert await node.gossip.join([serf.address]) == 1
        for node in ours:
            for name in ("serf", "ours0", "ours1"):
                await node.sees(name, MemberStatus.ALIVE)
        double = nodes.enter_context(serf_agent(tmp_path, "ours1", "-replay", f"-join={ours[0].address}"))
        await eventually(lambda: _ended(double), "the newer one still runs", 30)
        await serf.sees("ours1", "alive")
        assert ours[0].members()["ours1"].port == ours[1].address.port


async def test_a_peer_without_the_key_learns_nothing_and_changes_nothing(tmp_path: Path) -> None:
    async with AsyncExitStack() as nodes:
        ours = await nodes.enter_async_context(our_node(tmp_path, "ours", key=raw(KEY)))
        for name, key in (("plain", None), ("wrong", OTHER_KEY)):
            stranger = nodes.enter_context(serf_agent(tmp_path, name, *serf_options(key)))
            await stranger.cli("join", str(ours.address), fails=True)
            assert set(await stranger.members()) == {name}
            assert await ours.gossip.join([stranger.address]) == 0
            assert set(ours.members()) == {"ours"}
            assert set(await stranger.members()) == {name}


# ---- looking


async def _asked(serf: SerfAgent, expected: set[str], *query: str) -> None:
    """Wait until those, and no others, acknowledge a query of serf: it reaches everybody almost surely, not surely."""

    async def all_have_it() -> bool:
        acks = set(re.findall(r"Ack from '(\w+)'", await serf.cli("query", *query)))
        assert acks <= expected
        return acks == expected

    await eventually(all_have_it, f"not all acknowledge {query}", 60)


async def _tags(serf: SerfAgent, name: str, tags: dict[str, str]) -> bool:
    return (await serf.members())[name][1] == tags


async def _member_has(node: OurNode, name: str, tags: dict[str, str]) -> bool:
    return node.members()[name].tags == tags


async def _estimated(serf: SerfAgent) -> bool:
    """Round trips on one machine are below 100 ms even where it is busy."""
    try:
        estimate = await serf.cli("rtt", "ours", "theirs")
    except AssertionError:
        return False
    found = re.search(r"rtt: ([\d.]+) ms", estimate)
    return found is not None and 0 < float(found[1]) < 100


async def _holds(file: Path, text: str) -> bool:
    def holds() -> bool:
        return file.exists() and text in file.read_text()

    return await asyncio.to_thread(holds)


async def _logged(serf: SerfAgent, text: str) -> bool:
    return text in serf.logged()


async def _ended(serf: SerfAgent) -> bool:
    return serf.process.poll() is not None
