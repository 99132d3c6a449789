"""Networks of the family side by side: cost, speed and field of view."""
