"""Text to passages: articles, headings, paragraphs, clauses, each with its place in the text."""
