"""Controls of a session: one table of them, their values, how they shape motion, and how they change while it runs.

::

    Controls(emotion="happy", intensity=0.8)       # checked; a value out of range names the range
    for control in TABLE: print(control.help)      # what the command line, the HTTP API and the page are made from
    shaped(mouth, controls)                        # what the controls make of one generated mouth

A new control is a field of `mytalk.controls.values.Controls` (which puts it into the table, and so on the command line,
into the HTTP API and on the page), and a function of what it changes: of the mouth (`mytalk.controls.mouth`), or of a
portrait's head and eyes (`mytalk.controls.portrait`). Both are pure functions of media time, so that a film and a live
stream come out alike.
"""

from mytalk.controls.table import Control, Side
from mytalk.controls.values import TABLE, Controls

__all__ = ["TABLE", "Control", "Controls", "Side"]
