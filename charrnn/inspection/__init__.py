"""What the cells do while the model reads."""
