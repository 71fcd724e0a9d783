"""What grows with the number of images beside their embedding."""
