"""One TensorFlow graph per backbone, from uint8 pixels to float32 vectors, preprocessing included."""
