"""The leader at work: commits what was planned, sends orders over the work lanes, and records what comes back."""
