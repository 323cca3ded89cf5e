"""Measured claims. Nothing here is imported by the product; docs/performance.md says how to read the figures."""
