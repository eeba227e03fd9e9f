"""Mutants: each guarantee's mechanism switched off, to prove that a test would notice."""
