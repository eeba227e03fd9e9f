"""What is promised for each fault, which tests try it, and what came out: the page and the program that writes it."""
