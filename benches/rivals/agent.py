"""Asks the agent, 64 questions at a time over kept-alive connections: as many as chatbridge asks by default."""

import os

import aiohttp

URL = os.environ["AGENT_URL"] + "/api/v2/conversations"
HEADERS = {"authorization": "Bearer " + os.environ["AGENT_KEY"]}
_session = None


def session():
    """The client's session, opened within the server's event loop."""
    global _session
    if _session is None:
        _session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=64), timeout=aiohttp.ClientTimeout(total=None)
        )
    return _session


async def ask(channel, question, conversation=None):
    """The answer (`response`, `conversationId`, ...) to a question; of a new conversation when none is given."""
    body = {
        "question": question,
        "agentId": os.environ["AGENT_ID"],
        "messageType": "TEXT",
        "responseFormat": "PLAIN",
        "integrationType": channel,
    }
    if conversation is not None:
        body["conversationId"] = conversation
    async with session().post(URL, json=body, headers=HEADERS) as response:
        answer = await response.json()
        if answer["status"] != "success":
            raise RuntimeError(f"the agent answered {response.status}")
        return answer["data"]
