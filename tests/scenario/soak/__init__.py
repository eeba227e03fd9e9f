"""Long life, told quickly: thousands of tasks through the actors on virtual time, dozens through a real daemon."""
