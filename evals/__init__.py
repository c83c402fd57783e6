"""The exam: is a candidate better than what is live, and may it go live."""
