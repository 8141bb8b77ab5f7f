"""What the paper reports after each stage (arXiv 2501.12948 v2), for comparison of shape."""

PAPER_STAGES = ("R1-Zero", "after 1", "after 2", "after 3", "after 4")

BENCHMARKS: dict[str, tuple[float, ...]] = {
    "AIME 2024": (77.9, 59.0, 74.0, 78.1, 79.8),
    "MATH-500": (95.9, 94.2, 95.9, 95.4, 97.3),
    "LiveCodeBench": (50.0, 57.5, 63.5, 64.6, 65.9),
    "IF-Eval": (46.6, 71.7, 72.0, 78.1, 83.3),
    "AlpacaEval 2": (24.7, 50.1, 55.8, 62.1, 87.6),
    "ArenaHard": (53.6, 77.0, 73.2, 75.6, 92.3),
}
