"""What an output folder holds: every name on disk, every column, and the manifest that makes a run complete."""
