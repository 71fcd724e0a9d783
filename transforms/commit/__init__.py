"""What makes a run complete: its claim on the output, the check of its counts, the atomic write of the manifest."""
