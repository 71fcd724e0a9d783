"""The command `explain-image`: one image through the stages of a worker, and what each of them decides."""
