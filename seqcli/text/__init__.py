"""Words, characters and texts as vectors: look them up, compare them, train them."""
