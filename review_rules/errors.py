"""What every error has that a person is to read, and not a programmer."""

from __future__ import annotations

__all__ = ["MissingExtra", "PublicError"]


class PublicError(Exception):
    """An error that a person can act on: its text says what is wrong, where, and what to do.

    Every error class of Quorum that may reach a user derives from this one, so that whoever prints errors (the
    `quorum` command, in one place) catches one class. It stands on the ground floor because the other rooms may
    import from here. `ls_config` imports no other room, so its one error, `InterfaceError`, cannot derive from it;
    it has the same attribute `faults` and is named beside this class where errors are printed.

    Attributes:
        faults: Where an error collects the faults of a file, each as an object whose text begins with its own place;
            empty where the error's own text is the line.
    """

    faults: tuple[object, ...] = ()


class MissingExtra(PublicError):
    """What a person asked for needs a package that is not installed; the sentence says how to install it.

    Attributes:
        need: Who needs the package, as a subject: `quorum check`, `training`.
        package: The name by which it is imported.
        argument: What to give to `pip install`, quoted for a shell.
    """

    def __init__(self, need: str, package: str, argument: str) -> None:
        super().__init__(f"{need} needs {package}; install it with: pip install {argument}")
        self.need, self.package, self.argument = need, package, argument

    def within(self, place: str) -> MissingExtra:
        """The same error, with the place in a file that led to it before the sentence."""
        return MissingExtra(f"{place}: {self.need}", self.package, self.argument)
