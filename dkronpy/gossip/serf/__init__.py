"""Serf on top of SWIM: members with tags, joining and leaving in Lamport order, events, queries, coordinates. Pure."""
