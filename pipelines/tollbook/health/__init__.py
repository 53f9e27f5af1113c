"""How the book stands: what a look finds, in words and as metrics. Nothing here waits for a meter or a build."""
