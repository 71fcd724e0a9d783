"""What every stage builds on: the nouns that flow, how they are lost, how they are made, what is counted."""
