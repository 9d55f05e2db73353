"""Small programs that the lessons run, as files of their own."""
