"""Agent adapters: claude, command, scripted. Each turns a request into a process and its output into one closed outcome."""
