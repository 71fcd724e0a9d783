"""What a person reads: progress, the summary, the exit code, the reference page."""
