"""The flags of the commands beside `embed-images`, each in a file."""
