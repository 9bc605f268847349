"""What a model gets wrong and what it would have taken, after Karpathy, Johnson & Li (2015)."""
