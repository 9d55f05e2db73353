"""`course review`: what is missing from a file that configures a database, proven by running it."""

from course_lib.review.report import Report
from course_lib.review.rules import RULES, Finding, Rule
from course_lib.review.running import review

__all__ = ["RULES", "Finding", "Report", "Rule", "review"]
