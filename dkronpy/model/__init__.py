"""What users see and the store keeps: jobs, executions, members. No I/O, no clock."""
