// Asks the agent, 64 questions at a time over kept-alive connections: as many as chatbridge asks by default.

import http from 'node:http';

const url = new URL('/api/v2/conversations', process.env.AGENT_URL);
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const headers = { authorization: `Bearer ${process.env.AGENT_KEY}`, 'content-type': 'application/json' };

/** The answer (`response`, `conversationId`, …) to a question; of a new conversation when none is given. */
export function ask(question, conversationId) {
  const body = JSON.stringify({
    question,
    agentId: process.env.AGENT_ID,
    messageType: 'TEXT',
    responseFormat: 'PLAIN',
    integrationType: 'SLACK',
    conversationId,
  });
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', agent, headers }, async (response) => {
      try {
        let text = '';
        response.setEncoding('utf8');
        for await (const chunk of response) text += chunk;
        const answer = JSON.parse(text);
        if (answer.status !== 'success') throw new Error(`the agent answered ${response.statusCode}`);
        resolve(answer.data);
      } catch (error) {
        reject(error);
      }
    });
    request.on('error', reject);
    request.end(body);
  });
}
