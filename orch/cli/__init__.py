"""The command line and the terminal view; they speak to a daemon over HTTP."""
