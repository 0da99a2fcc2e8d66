"""What the fake server of the SDK's tests answers to operators: workers, and inputs that were given up."""

from __future__ import annotations

from offload.wire.gen import calls_pb2, cluster_pb2, deployments_pb2
from offload.wire.status import Status, WireError


class ClusterAnswers:
    """Workers that leave when they are drained, and a list of dead letters."""

    def __init__(self) -> None:
        self.has_worker_here = True
        self.deployed: list[deployments_pb2.DeployRequest] = []
        self.letters: dict[str, calls_pb2.DeadLetter] = {}  # by input id, oldest first
        self.replayed: dict[str, str] = {}  # input id → id of its new call
        self.letters_at_once = 5000  # replayed or dropped by one request for all
        self.status = cluster_pb2.StatusReply()
        self.waiting_reasons: dict[str, str] = {}  # by call id
        self.looks_until_gone = 1  # how often a drained worker is still seen

    def cluster_methods(self):
        return {
            "Calls/ListDeadLetters": self.list_dead_letters,
            "Calls/ReplayDeadLetters": self.replay_dead_letters,
            "Calls/DropDeadLetters": self.drop_dead_letters,
            "Cluster/Status": self.cluster_status,
            "Deployments/Deploy": self.deploy,
            "Deployments/PrepareDeploy": self.prepare_deploy,
            "Cluster/DrainWorker": self.drain_worker,
        }

    async def prepare_deploy(self, request, _):
        return deployments_pb2.PrepareDeployReply(has_worker_on_host=self.has_worker_here)

    async def deploy(self, request, _):
        self.deployed.append(request)
        result = deployments_pb2.DeployResult(version=len(self.deployed), app_id="ap-deployed")
        yield deployments_pb2.DeployEvent(result=result)

    def lose(self, input_id: str, app_name: str = "t") -> None:
        """Have an input end as lost."""
        call_id, _, index = input_id.removeprefix("in-").rpartition("-")
        self.letters[input_id] = calls_pb2.DeadLetter(
            input_id=input_id, call_id=f"fc-{call_id}", index=int(index), app_name=app_name,
            function_name="f", attempts=3, at=1000.0, reason="three workers went away with it",
        )  # fmt: skip

    async def list_dead_letters(self, request, _):
        found = [x for x in reversed(self.letters.values()) if request.app_id in ("", x.app_name)]
        shown = found[: request.limit or 100]
        return calls_pb2.ListDeadLettersReply(letters=shown, total=len(found))

    async def replay_dead_letters(self, request, _):
        replays = []
        for input_id in self._named(request):
            del self.letters[input_id]
            self.replayed[input_id] = f"fc-replay{len(self.replayed)}"
            call_id = self.replayed[input_id]
            replays.append(calls_pb2.Replay(input_id=input_id, call_id=call_id))
        return calls_pb2.ReplayDeadLettersReply(replays=replays)

    async def drop_dead_letters(self, request, _):
        named = self._named(request)
        for input_id in named:
            del self.letters[input_id]
        return calls_pb2.DropDeadLettersReply(dropped=len(named))

    async def cluster_status(self, request, _):
        answer = cluster_pb2.StatusReply()
        answer.CopyFrom(self.status)
        draining = [each for each in self.status.workers if each.state == "draining"]
        if draining and self.looks_until_gone == 0:
            for each in draining:
                self.status.workers.remove(each)
        elif draining:
            self.looks_until_gone -= 1
        return answer

    async def drain_worker(self, request, _):
        for each in self.status.workers:
            if request.worker in (each.worker_id, each.name):
                each.state, each.reason = "draining", "a person drained it"
                return cluster_pb2.DrainWorkerReply(worker_id=each.worker_id)
        raise WireError(Status.NOT_FOUND, f"There is no worker {request.worker!r}.")

    def _named(self, request) -> list[str]:
        if request.all:
            found = [
                x.input_id for x in self.letters.values() if request.app_id in ("", x.app_name)
            ]
            return found[: self.letters_at_once]
        missing = [each for each in request.input_ids if each not in self.letters]
        if missing:
            raise WireError(Status.NOT_FOUND, f"There is no dead letter {missing[0]}.")
        return list(request.input_ids)
