"""The command line: every flag, declared once, and how its text becomes a value."""
