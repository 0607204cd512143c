"""Every error the program itself raises: one root, and subclasses that carry the objects and word themselves."""


class DamError(Exception):
    """The root. Its text is one line for the person at the terminal."""
