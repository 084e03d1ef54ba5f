"""The supply chain: what is locked, what is in the package list that ships, and what is known against it."""
