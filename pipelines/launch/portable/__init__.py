"""Beam's portable runners: what they need is there before the work, their jobs are followed, their errors told."""
