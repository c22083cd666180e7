//! What an exchange wants: scheme files, their language, composing and checking. Knows no token and does no I/O.
