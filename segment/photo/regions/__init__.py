"""Regions: posteriors -> gradients -> leaves -> graph -> merging -> tree."""
