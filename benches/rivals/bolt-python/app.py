"""Bolt for Python: mentions are answered by the agent, in their thread. What it knows of a thread is in memory."""

import os
import re

from agent import ask
from slack_bolt.adapter.asgi.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

app = AsyncApp(
    signing_secret=os.environ["SLACK_SIGNING_SECRET"],
    client=AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"]),
)
conversations = {}


@app.event("app_mention")
async def mentioned(event, say):
    thread = event.get("thread_ts", event["ts"])
    question = re.sub(r"<@[^>]+>\s*", "", event["text"], count=1)
    answer = await ask("SLACK", question, conversations.get(thread))
    conversations[thread] = answer["conversationId"]
    await say(text=answer["response"], thread_ts=thread)


api = AsyncSlackRequestHandler(app)
