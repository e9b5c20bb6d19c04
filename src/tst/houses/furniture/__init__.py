"""Furniture: built-in parametric pieces, and models of Sweet Home 3D libraries, behind one interface."""
