"""Deploys an app and calls it by name, as any other program could: `offload run examples/deploy_and_call.py`.

`offload app ls` shows it afterwards, `offload app history prices` its versions, `offload app stop prices` ends it.
"""

import offload

app = offload.App("prices", tags={"team": "shop"})

PRICES = {"apple": 0.5, "pear": 0.75}


@app.function()
def price(item: str, count: int = 1) -> float:
    """Say what so many cost."""
    return PRICES[item] * count


@app.function()
def receipt(items: list[str]) -> str:
    """Add up what they cost, in containers of another function."""
    return f"{len(items)} items: {sum(price.map(items)):.2f}"


@app.local_entrypoint()
def main() -> None:
    """Deploy the app, and call it as somebody else."""
    first = app.deploy(tag="summer")
    print(f"version {first.version} of {first.app_name} serves")
    again = app.deploy()
    print(
        "deployed again:", "nothing changed" if again.is_unchanged else f"version {again.version}"
    )

    by_name = offload.Function.from_name("prices", "price")
    print("4 apples:", by_name.remote("apple", count=4))
    print("each:", list(by_name.map(["apple", "pear"])))
    later = by_name.with_options(delay=0.2).spawn("pear")
    print("a little later:", later.get())
    tagged = offload.Function.from_name("prices", "receipt", version="summer")
    print("receipt:", tagged.remote(["apple", "pear", "pear"]))
