"""DeepSeek-R1's four stages as recipes that run on a trainer backend."""
