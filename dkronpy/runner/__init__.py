"""The node's side: the runner, a process that owns the jobs' processes and their output, and the agent's end of it."""
