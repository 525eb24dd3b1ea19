"""Pictures of cells and their tokens: files, vision transformers, resamplers."""
