"""The loader: one file, from its claimed row to a domain that is whole, in storage, and seen by everyone."""
