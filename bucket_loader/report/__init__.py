"""What is shown of an inventory: a summary, rows, failures by reason, a page. Reading only, and only what is shown.

From the bottom up: `words` (times and sizes for people), `select` (which rows, read how), `summary` (counts, pace,
pods), `rows` (text, JSON, CSV), `failures` (grouped by reason), `terminal` (tables, the live view), `history` (what
happened when), `charts` and `page` (HTML).
"""
