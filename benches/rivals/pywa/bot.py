"""pywa: texts are answered by the agent, with "typing" shown meanwhile. What it knows of a person is in memory."""

import asyncio
import os

import httpx
from agent import ask
from pywa_async import WhatsApp, filters, types

# Only to point it at the stub: pywa sets Meta's address on the session that it is given.
session = httpx.AsyncClient()
wa = WhatsApp(
    phone_id=os.environ["WHATSAPP_PHONE_ID"],
    token=os.environ["WHATSAPP_TOKEN"],
    app_secret=os.environ["WHATSAPP_APP_SECRET"],
    verify_token=os.environ["WHATSAPP_VERIFY_TOKEN"],
    webhook_endpoint="/whatsapp/webhook",
    session=session,
)
session.base_url = os.environ["GRAPH_URL"]

# The session opens 100 connections and gives up on a request that waits for one for five seconds: no more at a time
# than the agent is asked.
places = asyncio.Semaphore(64)
conversations = {}


@wa.on_message(filters.text)
async def wrote(_: WhatsApp, message: types.Message):
    person = message.from_user.wa_id
    async with places:
        answer, _ = await asyncio.gather(
            ask("WHATSAPP", message.text, conversations.get(person)), message.indicate_typing()
        )
        conversations[person] = answer["conversationId"]
        await message.reply(answer["response"])
