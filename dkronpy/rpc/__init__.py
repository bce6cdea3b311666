"""The RPC port: how nodes talk to each other."""
