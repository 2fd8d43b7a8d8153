"""The public testing kit: fixtures, fakes and contract suites."""
