// Bolt for JavaScript: mentions are answered by the agent, in their thread. What it knows of a thread is in memory.

import bolt from '@slack/bolt';

import { ask } from './agent.mjs';

const app = new bolt.App({
  token: process.env.SLACK_BOT_TOKEN,
  signingSecret: process.env.SLACK_SIGNING_SECRET,
  logLevel: bolt.LogLevel.WARN,
  clientOptions: { slackApiUrl: process.env.SLACK_API_URL },
});
const conversations = new Map();

app.event('app_mention', async ({ event, say }) => {
  const thread = event.thread_ts ?? event.ts;
  const question = event.text.replace(/<@[^>]+>\s*/, '');
  const answer = await ask(question, conversations.get(thread));
  conversations.set(thread, answer.conversationId);
  await say({ text: answer.response, thread_ts: thread });
});

await app.start({ port: Number(process.env.PORT), host: '127.0.0.1' });
