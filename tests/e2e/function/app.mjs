// The same function as app.py, as a Node.js developer would write it: node:http with
// one kept-alive connection, and no library of ours.

import http from "node:http";

const TOKEN = { "X-Aws-Parameters-Secrets-Token": process.env.AWS_SESSION_TOKEN };
const port = Number(process.env.PARAMETERS_SECRETS_EXTENSION_HTTP_PORT);
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function ask(path) {
  return new Promise((resolve, reject) => {
    const options = { agent, hostname: "127.0.0.1", port, path, headers: TOKEN };
    const request = http.get(options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => {
        const body = text.startsWith("{") ? JSON.parse(text) : text;
        const cacheStatus = response.headers["cache-status"] ?? null;
        resolve({ status: response.statusCode, cache_status: cacheStatus, body });
      });
    });
    request.on("error", reject);
  });
}

async function getSecret(name) {
  const answer = await ask(`/secretsmanager/get?secretId=${encodeURIComponent(name)}`);
  if (answer.status !== 200) throw new Error(`${name}: status ${answer.status}`);
  return answer.body.SecretString;
}

const early = process.env.READ_AT_INIT;
const atInit = early ? await getSecret(early) : null;

export async function handler(event) {
  const values = [];
  for (const name of event.secrets ?? []) values.push(await getSecret(name));
  const answers = [];
  for (const path of event.paths ?? []) answers.push(await ask(path));
  return { values, answers, at_init: atInit };
}
