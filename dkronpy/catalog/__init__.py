"""The store's records as objects: key names, an in-memory mirror fed by a watch, and the guarded writes every server
may do."""
