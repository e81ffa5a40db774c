"""From a photograph to an answer, for people and for programs."""
