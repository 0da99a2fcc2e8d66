"""A chat room over WebSockets, all in one container: `offload run examples/websocket_chat.py`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.client import connect

import offload

app = offload.App("websocket-chat")

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Room:
    """Who is there, and what is said to all of them."""

    def __init__(self) -> None:
        self.members: dict[str, Send] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Be an ASGI app: a WebSocket at /NAME is a member of that name."""
        if scope["type"] != "websocket":
            raise ValueError("this is a room for WebSockets alone")
        name = scope["path"].rpartition("/")[2]
        await receive()
        await send({"type": "websocket.accept"})
        self.members[name] = send
        await self.say(f"{name} is here")
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                break
            await self.say(f"{name}: {event['text']}")
        del self.members[name]
        await self.say(f"{name} has left")

    async def say(self, text: str) -> None:
        """Tell all members."""
        for send in tuple(self.members.values()):
            await send({"type": "websocket.send", "text": text})


@app.function(max_containers=1)
@offload.concurrent(max_inputs=100)
@offload.asgi_app()
def room() -> Room:
    """Make the one room of the one container."""
    return Room()


async def talk(url: str) -> None:
    """Have two people meet."""
    async with connect(url + "/ann") as ann:
        print("ann hears:", await ann.recv())
        async with connect(url + "/bob") as bob:
            print("ann hears:", await ann.recv())
            print("bob hears:", await bob.recv())
            await ann.send("good morning")
            print("bob hears:", await bob.recv())
            print("ann hears:", await ann.recv())
        print("ann hears:", await ann.recv())


@app.local_entrypoint()
def main() -> None:
    """Open the room and let people in."""
    asyncio.run(talk(room.get_web_url().replace("http", "ws", 1)))
