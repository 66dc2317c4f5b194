"""What a run found, as data, as Markdown and as a page to look at."""
