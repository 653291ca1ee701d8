"""The inventory: one table in an HSDS domain, a row per source file. Only this folder names columns and conditions."""
