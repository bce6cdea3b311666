"""The key-value store: the only truth of the cluster. `contract` says what every store does."""
