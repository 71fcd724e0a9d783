"""What Pillow reads wrong in a format, a file for each; TIFFs have a room of their own."""
