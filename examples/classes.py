"""Instances that live in containers: loaded once, called often, told when it is over. `offload run examples/classes.py`."""

import asyncio
from collections.abc import Iterator

import offload

app = offload.App("classes")
small = {"cpu": 0.25, "memory": 128}
goodbyes = offload.Queue.ephemeral(app=app)

WORDS = {"de": {"apple": "Apfel", "pear": "Birne"}, "es": {"apple": "manzana", "pear": "pera"}}


@app.cls(**small, scaledown_window=1, max_containers=1)
class Dictionary:
    """Translates words. Each language has containers of its own."""

    language: str = offload.parameter(default="de")

    @offload.enter()
    def load(self) -> None:
        """Read the words, once for each container."""
        self.words = WORDS[self.language]
        self.served = 0

    @offload.method()
    def translate(self, word: str) -> str:
        """Translate one word."""
        self.served += 1
        return self.words[word]

    @offload.method()
    def spell(self, word: str) -> Iterator[str]:
        """Translate one word, letter by letter."""
        yield from self.translate(word)

    @offload.exit()
    def say_goodbye(self) -> None:
        """Say how often it was asked, before the container ends."""
        goodbyes.put(f"goodbye from {self.language} after {self.served}")


@app.cls(**small)
class Shouting(Dictionary):
    """Inherits methods and hooks, and changes two of them."""

    @offload.method()
    def translate(self, word: str) -> str:
        """Translate one word, loudly."""
        return self.words[word].upper() + "!"

    def say_goodbye(self) -> None:
        """Leave without a word: what overrides a hook takes its place, and has no mark here."""


@app.cls(**small, max_containers=1)
@offload.concurrent(max_inputs=20)
class Waiter:
    """Serves many at the same time, because its methods mostly wait."""

    @offload.enter()
    async def open(self) -> None:
        """Begin with nobody."""
        self.guests = 0
        self.all_are_here = asyncio.Event()

    @offload.method()
    async def serve(self) -> int:
        """Wait until all twenty are here, which one after the other would never be."""
        self.guests += 1
        if self.guests == 20:
            self.all_are_here.set()
        await self.all_are_here.wait()
        return self.guests


@app.local_entrypoint()
def main() -> None:
    """Call each of them, and wait until the dictionaries have ended."""
    print("here:", Dictionary().translate.local("pear"))
    print("German:", Dictionary().translate.remote("apple"))
    spanish = Dictionary(language="es")  # type: ignore[call-arg]  # mypy does not know what the decorator makes
    print("Spanish:", list(spanish.translate.map(["apple", "pear"])))
    print("shouted:", "-".join(Shouting().spell.remote_gen("apple")))

    served = [Waiter().serve.spawn() for _ in range(20)]
    print("served together:", set(offload.gather(*served)))

    for goodbye in sorted(goodbyes.get() for _ in range(2)):
        print(goodbye)
