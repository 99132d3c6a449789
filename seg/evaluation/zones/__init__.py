"""County table: areas, parcels and accuracies of a map by zone, as tables, chart and page."""
