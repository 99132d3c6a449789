"""Identity of a run, and messages of interrupted runs."""
