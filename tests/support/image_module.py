"""A module of the user's, which containers import by its name."""


def imported():
    return "imported"
