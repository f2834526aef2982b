"""Finding faces in frames and saying how they wear their mask."""
