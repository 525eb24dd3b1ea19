"""The verifier: what a claim says, what its evidence supports, and whether the two agree."""
