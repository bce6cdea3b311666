"""Run history: finished executions and all output. `contract` says what every history does."""
