// A Lambda runtime for Node.js over the Runtime API alone, as a custom runtime has it.
// The module is imported once, during INIT; top-level await in it is waited for.

import http from "node:http";

const API = new URL(`http://${process.env.AWS_LAMBDA_RUNTIME_API}`);
const BASE = "/2018-06-01/runtime";
const agent = new http.Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const { hostname, port } = API;
    const options = { agent, hostname, port, method, path: BASE + path };
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => {
        resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

function problem(error) {
  return JSON.stringify({ errorType: error.name, errorMessage: String(error.stack) });
}

async function load() {
  const [module, name] = process.env._HANDLER.split(".");
  try {
    return (await import(`${process.env.LAMBDA_TASK_ROOT}/${module}.mjs`))[name];
  } catch (error) {
    await call("POST", "/init/error", problem(error));
    process.exit(1);
  }
}

const handler = await load();
for (;;) {
  const event = await call("GET", "/invocation/next");
  const id = event.headers["lambda-runtime-aws-request-id"];
  try {
    const answer = JSON.stringify(await handler(JSON.parse(event.body)));
    await call("POST", `/invocation/${id}/response`, answer);
  } catch (error) {
    await call("POST", `/invocation/${id}/error`, problem(error));
  }
}
