"""What a debit costs, measured against what the same machine could do: ``python -m benchmarks``."""
