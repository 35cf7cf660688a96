"""Shipped weights, found from a checkout and from an installed wheel alike."""
