// Vercel's Chat SDK: mentions, and what follows in their threads, are answered by the agent. What it knows of a thread,
// its locks and the messages that it has seen are in Redis.

import { createSlackAdapter } from '@chat-adapter/slack';
import { createMemoryState } from '@chat-adapter/state-memory';
import { createRedisState } from '@chat-adapter/state-redis';
import { serve } from '@hono/node-server';
import { Chat } from 'chat';
import { Hono } from 'hono';

import { ask } from './agent.mjs';

// The adapters read their tokens and addresses from the environment.
const bot = new Chat({
  userName: 'bench',
  adapters: { slack: createSlackAdapter() },
  state: process.env.REDIS_URL ? createRedisState() : createMemoryState(),
  logger: 'warn',
});

async function answer(thread, message) {
  const state = await thread.state;
  const { conversationId, response } = await ask(message.text, state?.conversationId);
  if (conversationId !== state?.conversationId) await thread.setState({ conversationId });
  await thread.post(response);
}

bot.onNewMention(async (thread, message) => {
  await thread.subscribe();
  await answer(thread, message);
});
bot.onSubscribedMessage(answer);

const app = new Hono();
// A process that stays needs nobody to wait for what it does behind an acknowledgement.
app.post('/slack/events', (context) => bot.webhooks.slack(context.req.raw, { waitUntil: () => {} }));

await bot.initialize();
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: '127.0.0.1' });
