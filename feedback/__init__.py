"""The floor: what was said, corrected, learned and promoted. The only package that knows SQL."""
