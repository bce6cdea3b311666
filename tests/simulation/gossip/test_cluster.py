"""A hundred gossiping nodes on a network that loses, delays and doubles what is sent, and falls apart."""

from __future__ import annotations

import random

import pytest

from dkronpy.gossip.codec.messages import Address
from dkronpy.gossip.effects import LeaveDone, NameLost, QueryAcked, QueryAnswered, QueryClosed
from dkronpy.gossip.profile import LAN, LOCAL, WAN, Profile
from dkronpy.model.duration import SECOND
from dkronpy.model.member import MemberStatus
from tests.conftest import FULL
from tests.simulation.gossip.network import MS, Network, SimNode

ALIVE, FAILED, LEFT = MemberStatus.ALIVE, MemberStatus.FAILED, MemberStatus.LEFT
MINUTE = 60 * SECOND
CROWD = 100


def names(nodes: list[SimNode]) -> set[str]:
    return {node.name for node in nodes}


def agree(nodes: list[SimNode], status: MemberStatus, expected: set[str]) -> bool:
    """Whether exactly those are seen in that state, by all nodes that are up."""
    return all(node.sees(status) == expected for node in nodes if node.up)


def settled(network: Network, count: int) -> list[SimNode]:
    """A cluster in which all know each other."""
    nodes = network.crowd(count)
    assert network.run(30 * SECOND, lambda: agree(nodes, ALIVE, names(nodes))), "the nodes don't find each other"
    return nodes


@pytest.mark.timeout(1800)
def test_a_hundred_nodes_on_a_network_that_loses_five_percent() -> None:
    """They find each other; nobody fails for a minute, in which each misses ten packets and one direct probe in ten
    goes unanswered; then five die at once, and the survivors agree on who, in the time that memberlist's constants
    give: 8 s of suspicion, and some seconds of probing and gossip."""
    network = Network(1, loss=0.05, duplicates=0.05, delay=(1 * MS, 100 * MS))
    nodes = network.crowd(CROWD)
    network.watch_failures = True
    assert network.run(10 * SECOND, lambda: agree(nodes, ALIVE, names(nodes))), "more than 9 s after the last join"
    assert all(len(node.serf.members()) == CROWD for node in nodes)
    network.run((20 if FULL else 1) * MINUTE)
    assert network.failures == []

    dead = nodes[10:15]
    for node in dead:
        network.kill(node)
    begun = network.now
    assert network.run(30 * SECOND, lambda: agree(nodes, FAILED, names(dead)))
    assert 8 * SECOND <= network.now - begun <= 20 * SECOND
    assert {name for _, _, name in network.failures} == names(dead)


@pytest.mark.parametrize(("profile", "slowest"), [(LAN, 15), (WAN, 60), (LOCAL, 10)])
def test_every_profile_finds_the_dead(profile: Profile, slowest: int) -> None:
    network = Network(4, profile=profile)
    nodes = settled(network, 5)
    network.kill(nodes[2])
    assert network.run(slowest * SECOND, lambda: agree(nodes, FAILED, {nodes[2].name}))


def test_halves_that_are_cut_off_fail_each_other_and_find_together_again() -> None:
    network = Network(5, loss=0.01)
    nodes = settled(network, 40)
    left, right = nodes[:25], nodes[25:]
    network.split(left, right)
    assert network.run(MINUTE, lambda: agree(left, FAILED, names(right)) and agree(right, FAILED, names(left)))
    network.run(2 * MINUTE)
    network.heal()
    assert network.run(3 * MINUTE, lambda: agree(nodes, ALIVE, names(nodes)))


def test_a_node_that_is_heard_in_one_direction_only_stays_while_others_reach_it() -> None:
    """n000 and n001 don't reach each other; all others reach both."""
    network = Network(6)
    settled(network, 10)
    pair = {"n000", "n001"}
    network.cut = lambda a, b: {a, b} == pair
    network.watch_failures = True
    network.run(3 * MINUTE)
    assert network.failures == []


def test_a_short_stop_is_refuted_and_a_long_one_ends_with_the_node_back() -> None:
    network = Network(7)
    nodes = settled(network, 20)
    network.watch_failures = True
    sleeper = nodes[3]
    network.kill(sleeper)
    network.run(5 * SECOND)
    network.resume(sleeper)
    network.run(30 * SECOND)
    assert network.failures == [], "suspected for 5 s only"
    network.kill(sleeper)
    assert network.run(30 * SECOND, lambda: agree(nodes, FAILED, {sleeper.name}))
    network.resume(sleeper)
    assert network.run(2 * MINUTE, lambda: agree(nodes, ALIVE, names(nodes)))


def test_a_node_that_leaves_is_seen_as_left() -> None:
    network = Network(8, loss=0.05, duplicates=0.05)
    nodes = settled(network, 30)
    network.watch_failures = True
    leaver = nodes[4]
    leaver.do(leaver.serf.leave)
    begun = network.now
    assert network.run(5 * SECOND, lambda: agree(nodes, LEFT, {leaver.name}))
    network.run(30 * SECOND)
    assert isinstance(leaver.effects[-1], LeaveDone)
    assert leaver.left_at is not None
    assert leaver.left_at - begun < 4 * SECOND
    assert network.failures == []
    assert agree(nodes, LEFT, {leaver.name})


def test_a_node_may_come_back_after_it_left() -> None:
    network = Network(9)
    nodes = settled(network, 10)
    leaver = nodes[4]
    leaver.do(leaver.serf.leave)
    assert network.run(5 * SECOND, lambda: agree(nodes, LEFT, {leaver.name}))
    network.run(5 * SECOND)
    back = network.add(leaver.name, address=leaver.address)
    network.join(back, nodes[0])
    nodes[4] = back
    assert network.run(5 * SECOND, lambda: agree(nodes, ALIVE, names(nodes)))


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("down", [1, 15])
def test_a_node_that_died_may_come_back(moved: bool, down: int) -> None:
    """Before or after it was found dead, at its address or another one, with other tags."""
    network = Network(10)
    nodes = settled(network, 10)
    victim = nodes[4]
    network.kill(victim)
    network.run(down * SECOND)
    address = Address("10.9.9.9", 8946) if moved else victim.address
    back = network.add(victim.name, address=address, tags={"new": "tag"})
    network.join(back, nodes[0])
    nodes[4] = back

    def known() -> bool:
        members = [{member.name: member for member in node.serf.members()} for node in nodes]
        return all(
            seen.keys() == names(nodes)
            and all(member.status is ALIVE for member in seen.values())
            and (seen[back.name].addr, seen[back.name].tags) == (address.host, {"new": "tag"})
            for seen in members
        )

    assert network.run(MINUTE, known)
    network.run(MINUTE)
    assert back.up, "it was voted out"
    assert known()


def test_of_two_nodes_with_one_name_the_newer_stops() -> None:
    network = Network(11)
    nodes = settled(network, 10)
    first = nodes[4]
    second = network.add(first.name, address=Address("10.9.9.9", 8946))
    network.join(second, nodes[0])
    network.run(MINUTE)
    assert second.effects[-1] == NameLost(first.address)
    assert first.up
    nodes[4] = first
    assert agree(nodes, ALIVE, names(nodes))
    assert all(member.addr != "10.9.9.9" for node in nodes for member in node.serf.members())


def test_tags_reach_everybody() -> None:
    network = Network(12, loss=0.05)
    nodes = settled(network, 30)
    nodes[7].do(lambda: nodes[7].serf.set_tags({"role": "other", "x": "y" * 400}))

    def known() -> bool:
        return all(
            member.tags.get("role") == ("other" if member.name == nodes[7].name else "test")
            for node in nodes
            for member in node.serf.members()
        )

    assert network.run(5 * SECOND, known)


def test_events_are_heard_once_by_everybody() -> None:
    network = Network(13, loss=0.05, duplicates=0.2)
    nodes = settled(network, 30)
    for number in range(5):
        sender = nodes[number]
        sender.do(lambda sender=sender, number=number: sender.serf.event(f"e{number}", b"payload"))
        network.run(100 * MS)
    network.run(MINUTE)
    assert all(sorted(network.heard(node)) == ["e0", "e1", "e2", "e3", "e4"] for node in nodes)


def test_queries_are_acknowledged_and_relayed() -> None:
    """A fifth of the packets is lost, half of the time in both directions; relays find ways around."""
    network = Network(14, loss=0.2)
    nodes = settled(network, 30)
    asker = nodes[0]
    asker.do(lambda: asker.serf.queries.ask("_serf_ping", ack=True, relays=3))
    begun = network.now
    network.run(MINUTE, lambda: isinstance(asker.effects[-1], QueryClosed))
    assert network.now - begun == pytest.approx(6_400 * MS, abs=200 * MS)
    acks = [effect.member for effect in asker.effects if isinstance(effect, QueryAcked)]
    assert sorted(acks) == sorted(names(nodes))


def test_queries_reach_only_those_whom_the_filters_leave() -> None:
    network = Network(15)
    nodes = settled(network, 6)
    nodes[2].do(lambda: nodes[2].serf.set_tags({"role": "web-7"}))
    network.run(2 * SECOND)
    asker = nodes[0]
    asker.do(lambda: asker.serf.queries.ask("_serf_ping", ack=True, nodes=["n001", "n004"]))
    for expression in (r"^web-\d$", "(a|"):
        tags = {"role": expression}
        asker.do(lambda tags=tags: asker.serf.queries.ask("_serf_ping", ack=True, tags=tags))
    network.run(30 * SECOND)
    acks = [effect.member for effect in asker.effects if isinstance(effect, QueryAcked)]
    assert sorted(acks) == ["n001", "n002", "n004"]
    assert not any(isinstance(effect, QueryAnswered) for effect in asker.effects)


@pytest.mark.parametrize("seed", range(200 if FULL else 4))
def test_whatever_happens_the_living_agree_in_the_end(seed: int) -> None:
    """Nodes die, stop for a while, leave and come back while the network loses packets and falls apart."""
    rng = random.Random(seed)
    network = Network(
        seed, loss=rng.choice((0.0, 0.05, 0.2)), duplicates=0.1, delay=(1 * MS, rng.choice((5, 200)) * MS)
    )
    nodes = settled(network, 12)
    stopped: list[SimNode] = []
    gone: set[str] = set()
    for _ in range(25):
        network.run(rng.randrange(8 * SECOND))
        node = rng.choice(nodes)
        match rng.randrange(6):
            case 0:
                rng.shuffle(nodes)
                cut = rng.randrange(1, len(nodes))
                network.split(nodes[:cut], nodes[cut:])
            case 1:
                network.heal()
            case 2 if node.up and len(stopped) < 3:
                network.kill(node)
                stopped.append(node)
            case 3 if stopped:
                back = stopped.pop(rng.randrange(len(stopped)))
                if rng.random() < 0.5:
                    network.resume(back)
                else:
                    place = nodes.index(back)
                    nodes[place] = network.add(back.name, address=back.address)
                    network.join(nodes[place], rng.choice(nodes))
            case 4 if node.up and len(gone) < 3:
                node.do(node.serf.leave)
                gone.add(node.name)
                nodes.remove(node)
            case _:
                node.do(lambda node=node: node.serf.set_tags({"role": "test", "n": str(rng.random())}))
    network.heal()
    for node in stopped:
        network.resume(node)
    first = nodes[0]
    for node in nodes[1:]:
        network.join(node, first)

    def agreed() -> bool:
        tags = {node.name: node.serf.members() for node in nodes}
        own = {name: next(member.tags for member in members if member.name == name) for name, members in tags.items()}
        return agree(nodes, ALIVE, names(nodes)) and all(
            member.tags == own[member.name] for members in tags.values() for member in members if member.name in own
        )

    assert network.run(5 * MINUTE, agreed)
    assert not any(isinstance(effect, NameLost) for node in nodes for effect in node.effects)
