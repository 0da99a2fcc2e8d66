"""Workers that take jobs from a queue until there are no more, and put what they found into another one."""

import offload

app = offload.App("queue-workers")
small = {"cpu": 0.25, "memory": 128}


@app.function(**small)
def work(jobs: offload.Queue, results: offload.Queue) -> int:
    """Factor numbers until the queue says that this was all; return how many."""
    done = 0
    while (number := jobs.get()) is not None:
        results.put((number, [n for n in range(2, number) if number % n == 0]))
        done += 1
    return done


@app.local_entrypoint()
def main(workers: int = 2, numbers: int = 12) -> None:
    """Hand out numbers to workers and collect their divisors."""
    with offload.Queue.ephemeral() as jobs, offload.Queue.ephemeral() as results:
        calls = [work.spawn(jobs, results) for _ in range(workers)]
        jobs.put_many(range(1, numbers + 1))
        jobs.put_many([None] * workers)
        print("done by all workers together:", sum(offload.gather(*calls)))
        for number, divisors in sorted(results.get_many(numbers)):
            print(number, "is prime" if number > 1 and not divisors else f"has divisors {divisors}")
