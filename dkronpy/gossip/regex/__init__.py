"""Regular expressions in the syntax of Go (RE2), matched in time linear in the text.

Python's own would take one evil expression from the network to stop a node for ever: it tries every way to match, these
follow all ways at once (Thompson, "Regular Expression Search Algorithm", CACM 1968).
"""
