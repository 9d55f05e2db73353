"""Seeing and sizing connection pools: recorder, workloads, pictures, queueing formulas and simulation."""
