"""A learner's value as text, whatever it is: a check must not fail because it can't write down what it got."""


def shown(value: object) -> str:
    """The value's repr; what Python refuses to write, such as a number of 6000 digits, by its type.

    Args:
        value: what an answer returned.

    Returns:
        Text that can be shown anywhere.
    """
    try:
        return repr(value)
    except Exception as error:
        return f"a value of type {type(value).__name__} that can't be shown ({type(error).__name__})"
