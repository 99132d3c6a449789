"""Write parcels by a template: cut them at zones, fill the fields, split files."""
