"""The faces that a scikit-learn user knows: one module an estimator."""
