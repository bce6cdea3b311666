"""What runs, when and where: pure functions and one in-memory board, without I/O and without a clock."""
