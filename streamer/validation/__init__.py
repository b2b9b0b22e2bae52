"""Checks what comes as JSON against types: options, messages, consents, files of keys.

::

    options = checked(json.loads(text), SessionOptions)
    # or raises MismatchError: steps is 51 (need a whole number from 1 to 50)
"""

from streamer.validation.check import checked

__all__ = ["checked"]
