"""Who leads: the claim that raises the epoch in the store."""
