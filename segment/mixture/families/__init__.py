"""Families of densities: what a mixture is made of. One module a family; the face imports none of them."""
