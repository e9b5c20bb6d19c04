"""Procedural furnished houses: floor plans, furniture, light, a CPU renderer and camera walks (docs/houses.md)."""
