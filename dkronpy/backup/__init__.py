"""Backups: everything that a cluster keeps, from any store and history, in one file, and back into any other."""
