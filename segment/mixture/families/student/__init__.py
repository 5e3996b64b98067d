"""Components with Student's t distribution: robust where a Gaussian follows what lies far out."""
