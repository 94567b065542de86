"""A recipe: a complete sweep under a name, with what is known of its data before they are here."""

from dataclasses import dataclass, replace

from syntype.configs import Expected, SweepConfig


@dataclass(frozen=True)
class Recipe:
    """A named, complete config.

    Attributes:
        name: What the user types.
        summary: One line for the list.
        config: The whole sweep.
        expected: Size of its data.
    """

    name: str
    summary: str
    config: SweepConfig
    expected: Expected

    def with_data(self, data: tuple[str, ...]) -> "Recipe":
        """The recipe on the data named `data`; unchanged when it is empty."""
        if not data:
            return self
        samples = replace(self.config.samples, data=data)
        return replace(self, config=replace(self.config, samples=samples))
