"""How fast each part is, beside a floor or a peer measured in the same run: python -m bench.NAME --help."""
