"""Check a delivered folder against its template."""
