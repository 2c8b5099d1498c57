"""Parts of `benchmarks/fuzz.py`: seeds, mutations, and what is run on each mutated file."""
