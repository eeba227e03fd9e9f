"""The pure core: values and decisions. Standard library only; no async, clock, I/O or logging."""
