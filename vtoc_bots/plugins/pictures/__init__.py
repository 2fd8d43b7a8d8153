"""Operational map pictures: PNG, GeoJSON and KML of the fused tracks."""
