"""Numbers with what they count: 1 picture, 2 pictures, 1,200 pictures."""


def counted(number: int, one: str, many: str = "") -> str:
    """
    >>> counted(1, "picture"), counted(1200, "picture"), counted(0, "class", "classes")
    ('1 picture', '1,200 pictures', '0 classes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
