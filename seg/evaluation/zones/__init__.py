"""County table: area, parcels and accuracy of a map in each zone, written as tables, chart and page."""
