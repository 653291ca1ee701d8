"""Programs that run as children: how they are started, limited, ended and judged."""
