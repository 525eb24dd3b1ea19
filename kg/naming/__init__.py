"""What a name may mean: the lexicon's keys, other wordings, spellings, ranked readings."""
