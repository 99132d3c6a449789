"""What a network consists of, and what its files weigh."""
