"""Bad input at every door: properties in `make test`, coverage-guided for as long as one likes in `make fuzz`."""
