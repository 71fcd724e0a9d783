"""Hostile files for `--model`, by what is wrong with them: each is made when it is asked for, as a real file."""
