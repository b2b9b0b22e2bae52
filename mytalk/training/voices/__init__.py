"""Makes synthetic speech with phone times: voices of flite, festival and espeak-ng, and sentences of our own for
them."""
