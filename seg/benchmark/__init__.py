"""What things cost: operations, bytes, time."""
