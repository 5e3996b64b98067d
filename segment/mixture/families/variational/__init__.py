"""Gaussian components with priors: a posterior of every parameter in place of its best value."""
