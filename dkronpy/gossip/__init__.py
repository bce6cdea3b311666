"""Who is in the cluster: SWIM with Lifeguard over UDP and TCP, in the wire format of memberlist and serf.

`codec` turns bytes into messages, `swim` finds out who is alive, `serf` adds tags, ordered leaving, events, queries and
coordinates: all three without I/O and without a clock. `driver` and `facade` connect them to sockets, files and time.
"""
