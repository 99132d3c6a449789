"""Identity of a prediction, and how an interrupted one goes on."""
