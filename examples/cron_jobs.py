"""Functions that run by themselves: `offload deploy examples/cron_jobs.py`, then `offload schedule ls`.

`offload app logs cron-jobs -f` shows what they print, and `offload app stop cron-jobs` ends them.
"""

import offload

app = offload.App("cron-jobs")


@app.function(schedule=offload.Cron("0 9 * * 1-5", timezone="Europe/Berlin", jitter=30))
def morning_report(day: str = "today") -> str:
    """Report, every working day."""
    print(f"the report of {day}")
    return day


@app.function(schedule=offload.Period(seconds=1, overlap="skip"), retries=2)
def poll() -> int:
    """Look for news, every second."""
    print("polling")
    return 1
