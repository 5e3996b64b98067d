"""Rows and columns, of any size: read, fit, describe, write."""
