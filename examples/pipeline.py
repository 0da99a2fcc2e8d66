"""A nightly pipeline in one file: the sales of each day are cleaned in parallel, reported on line by line, and asked for over HTTP.

`offload secret create customers CUSTOMER_KEY=…` once; then `offload run examples/pipeline.py` runs it once, and
`offload deploy examples/pipeline.py` has it run every night at three.
"""

import csv
import hashlib
import hmac
import io
import os
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import offload

sales = offload.Volume.from_name("sales", create_if_missing=True)
key = offload.Secret.from_name("customers", required_keys=["CUSTOMER_KEY"])
with_jinja = offload.Image.debian_slim().pip_install("jinja2")
app = offload.App("pipeline", volumes={"/sales": sales})

with with_jinja.imports():
    import jinja2

REPORT = """\
{% for product, count in totals %}{{ "%-8s" | format(product) }}{{ "%3d" | format(count) }} {{ "#" * count }}
{% endfor %}{{ customers }} customers
"""
WEEK = {
    "1-monday": "ann,apples,3\nbob,pears,1\n",
    "2-tuesday": "ann,apples,2\ncarl,plums,4\n",
    "3-wednesday": "bob,apples,1\ncarl,pears,2\n",
}


@app.function(cpu=0.25, memory=128, secrets=[key])
def clean(day: str) -> int:
    """Put a pseudonym in place of each customer of a day; return how many sales there were."""
    rows = list(csv.reader(Path("/sales/raw", f"{day}.csv").read_text().splitlines()))
    for row in rows:
        digest = hmac.new(os.environ["CUSTOMER_KEY"].encode(), row[0].encode(), hashlib.sha256)
        row[0] = digest.hexdigest()[:8]
    cleaned = Path("/sales/clean")
    cleaned.mkdir(exist_ok=True)
    with (cleaned / f"{day}.csv").open("w") as file:
        csv.writer(file).writerows(rows)
    return len(rows)


@app.function(cpu=0.25, memory=128, image=with_jinja)
def report() -> Iterator[str]:
    """Report on all days, a line at a time."""
    totals: Counter[str] = Counter()
    customers = set()
    for file in sorted(Path("/sales/clean").iterdir()):
        for customer, product, count in csv.reader(file.read_text().splitlines()):
            totals[product] += int(count)
            customers.add(customer)
    template = jinja2.Template(REPORT)
    text = template.render(totals=totals.most_common(), customers=len(customers))
    yield from text.splitlines()


@app.function(
    cpu=0.25, memory=128, schedule=offload.Cron("0 3 * * *", timezone="Europe/Berlin"), timeout=600
)
def nightly() -> str:
    """Clean what there is and write the report down; return what was done."""
    days = sorted(path.stem for path in Path("/sales/raw").iterdir())
    count = sum(clean.map(days))
    Path("/sales/report.txt").write_text("\n".join(report.remote_gen()))
    return f"{count} sales of {len(days)} days"


@app.function(cpu=0.25, memory=128)
@app.web_endpoint(path="/sold/{product}")
def sold(product: str) -> dict[str, object]:
    """Tell whoever asks over HTTP how many of a product were sold."""
    rows = [
        row
        for file in Path("/sales/clean").iterdir()
        for row in csv.reader(file.read_text().splitlines())
    ]
    return {"product": product, "sold": sum(int(row[2]) for row in rows if row[1] == product)}


@app.local_entrypoint()
def main() -> None:
    """Upload a week of sales, run what runs at night, read the report, and ask the endpoint."""
    with sales.batch_upload(force=True) as batch:
        for day, rows in WEEK.items():
            batch.put_file(io.BytesIO(rows.encode()), f"raw/{day}.csv")

    print(nightly.remote())
    print(b"".join(sales.read_file("report.txt")).decode())
    print("cleaned:", [entry.path for entry in sales.iterdir("clean")])
    address = f"{sold.get_web_url()}/sold/plums"
    with urllib.request.urlopen(address) as answer:  # noqa: S310  # the server's own address
        print("asked over HTTP:", answer.read().decode())
