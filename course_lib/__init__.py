"""The small library behind the lessons of the course on asynchronous database engines."""
