"""The exercises, one module per lesson: ``from course_lib.exercises.url_conversion import q1``."""
