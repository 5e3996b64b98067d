"""Gaussian components, with four types of covariance."""
