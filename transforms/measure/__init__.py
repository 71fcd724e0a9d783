"""What the manifest says about vectors and failures, combined over all workers; and which vectors are alike."""
