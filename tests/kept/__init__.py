"""A program whose children are kept, for the tests of how that is done."""
