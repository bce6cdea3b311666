"""How quickly news spreads by gossip, and what it costs: simulated nodes on a virtual clock, real bytes.

    python -m bench.gossip_bench [--nodes 100] [--profile lan] [--loss 0.01] [--seeds 5]

Prints one line a figure, over all seeds: median and worst. Traffic counts what a node sends, with the heads of IP, UDP
and TCP; it receives as much. Nothing is compressed or encrypted: encryption adds 29 bytes a datagram.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable

from dkronpy.gossip.profile import PROFILES, Profile
from dkronpy.model.duration import SECOND
from dkronpy.model.member import MemberStatus
from tests.simulation.gossip.network import MS, Network, SimNode

IDLE = 120 * SECOND


def until(network: Network, done: Callable[[], bool]) -> float:
    """Seconds until it is true, to a tenth; five minutes at most."""
    begun = network.now
    if not network.run(300 * SECOND, done):
        raise SystemExit("the nodes don't agree within five minutes")
    return (network.now - begun) / SECOND


def all_see(nodes: Iterable[SimNode], name: str, status: MemberStatus) -> bool:
    return all(node.statuses().get(name) is status for node in nodes if node.up)


def measure(seed: int, count: int, profile: Profile, loss: float) -> dict[str, float]:
    """The figures of one run."""
    figures: dict[str, float] = {}
    network = Network(seed, loss=loss, delay=(1 * MS, 5 * MS), profile=profile)
    nodes = network.crowd(count, within=1)
    everybody = {node.name for node in nodes}
    figures["all know all after all join at once, s"] = until(
        network, lambda: all(node.sees(MemberStatus.ALIVE) == everybody for node in nodes)
    )
    network.run(IDLE)
    bytes_before, packets_before = network.bytes.total(), network.packets.total()
    network.run(IDLE)
    seconds = IDLE / SECOND * count
    figures["idle: bytes per node and second"] = (network.bytes.total() - bytes_before) / seconds
    figures["idle: datagrams per node and second"] = (network.packets.total() - packets_before) / seconds

    changed = nodes[1]
    changed.do(lambda: changed.serf.set_tags({"role": "changed"}))
    figures["all know a node's new tags, s"] = until(network, lambda: all(_has_new_tags(node, 1) for node in nodes))
    newcomer = network.add("newcomer")
    network.join(newcomer, nodes[2])
    figures["all know a node that joins, s"] = until(network, lambda: all_see(nodes, newcomer.name, MemberStatus.ALIVE))
    nodes[3].do(nodes[3].serf.leave)
    figures["all know a node that leaves, s"] = until(network, lambda: all_see(nodes, nodes[3].name, MemberStatus.LEFT))
    network.kill(nodes[4])
    figures["all know a node that is killed, s"] = until(
        network, lambda: all_see(nodes, nodes[4].name, MemberStatus.FAILED)
    )

    bytes_before, begun = network.bytes.total(), network.now
    for number in range(30):
        busy = nodes[10 + number % 5]
        busy.do(lambda busy=busy, number=number: busy.serf.set_tags({"role": "busy", "n": str(number)}))
        network.run(SECOND)
    seconds = (network.now - begun) / SECOND * count
    figures["a change every second: bytes per node and second"] = (network.bytes.total() - bytes_before) / seconds
    return figures


def _has_new_tags(node: SimNode, number: int) -> bool:
    return any(member.name == f"n{number:03}" and member.tags["role"] == "changed" for member in node.serf.members())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--profile", choices=PROFILES, default="lan")
    parser.add_argument("--loss", type=float, default=0.01)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    runs = [
        measure(seed, arguments.nodes, PROFILES[arguments.profile], arguments.loss) for seed in range(arguments.seeds)
    ]
    print(f"{arguments.nodes} nodes, profile {arguments.profile}, loss {arguments.loss:.0%}, {arguments.seeds} seeds")
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:52} median {statistics.median(values):9.1f}  worst {max(values):9.1f}")


if __name__ == "__main__":
    main()
