"""Parts of a script: imports, constants at its top, functions, and lines within them."""

from dataclasses import dataclass, field


@dataclass
class Script:
    """What the parts of a script have come to so far."""

    imports: set[str] = field(default_factory=set)
    paths: list[str] = field(default_factory=list)
    """Folders of the user's own code."""
    own_imports: set[str] = field(default_factory=set)
    """Imports of the user's own code, which stand after the paths."""
    constants: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    main: list[str] = field(default_factory=list)
    """Lines of the function main, indented."""
