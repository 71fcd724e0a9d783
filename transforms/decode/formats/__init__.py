"""What Pillow leaves out or gets wrong of a format: mended before it decodes."""
