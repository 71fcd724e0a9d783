"""The command `similar-images`: what in a collection resembles a photo, and which of its images resemble each other."""
